"""How a stack is put together for a scenario: what lies between the app and its stores, and how the app is set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.fault import fault_class
from benchmarks.suite import Scenario
from flashbench.services import StackRequest


@dataclass(frozen=True, slots=True)
class Wiring:
    """``proxied``: the app's way to both stores leads through the proxy, which adds ``store_rtt_ms`` to a round trip.

    ``app`` are settings of the app, by name, that differ from its defaults. ``replica`` and ``failpoints`` are there
    for faults that need them, and change no figure.
    """

    proxied: bool = False
    store_rtt_ms: float = 0.0
    app: tuple[tuple[str, str], ...] = ()
    replica: bool = False
    failpoints: bool = False

    @classmethod
    def of(cls, scenario: Scenario) -> Wiring:
        """What one scenario and its faults ask for."""
        needs = frozenset[str]().union(*(fault_class(each.fault).needs for each in scenario.faults))
        return cls(
            proxied=scenario.store_rtt_ms is not None or bool(needs & {"proxy", "replica"}),
            store_rtt_ms=scenario.store_rtt_ms or 0.0,
            app=tuple(sorted(scenario.app.items())),
            replica="replica" in needs,
            failpoints="failpoints" in needs,
        )

    @property
    def way(self) -> Wiring:
        """That of it which changes figures: trials with the same one may be compared."""
        return replace(self, replica=False, failpoints=False)

    def stack(self, asked: StackRequest) -> StackRequest:
        """The stack that was asked for, put together like this."""
        environment = {f"TARGET_APP_{name.upper()}": value for name, value in self.app}
        return asked.model_copy(
            update={
                "proxied": self.proxied,
                "store_rtt_ms": self.store_rtt_ms,
                "replica": self.replica,
                "failpoints": self.failpoints,
                "app_environment": {**asked.app_environment, **environment},
            }
        )

    def document(self) -> dict[str, Any]:
        """As it stands in ``trial.json``; empty for an app that speaks to its stores directly, with its defaults."""
        found: dict[str, Any] = {"proxied": True, "store_rtt_ms": self.store_rtt_ms} if self.proxied else {}
        return {**found, "app": dict(self.app)} if self.app else found


def shared(scenarios: Iterable[Scenario]) -> dict[Wiring, Wiring]:
    """By each way, the wiring that serves all scenarios which go it, with everything that any of them needs."""
    found: dict[Wiring, Wiring] = {}
    for wiring in map(Wiring.of, scenarios):
        before = found.get(wiring.way, wiring)
        found[wiring.way] = replace(
            wiring,
            replica=wiring.replica or before.replica,
            failpoints=wiring.failpoints or before.failpoints,
        )
    return found
