"""How a trial's app was set, and how far it was from its stores, as far as that is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

AS_IT_IS = "as it is"
Way: TypeAlias = tuple[bool, float, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Wiring:
    """``proxied``: a proxy stood between app and stores; ``store_rtt_ms``: what it added to a round trip, or 0.

    ``measured_ms``: by store.
    ``app``: its settings that are not the default, by name.

    >>> Wiring.of({"store_rtt_ms": 1, "app": {"cache_jitter": "0"}, "round_trip_us": {"redis": 1200}})
    Wiring(proxied=False, store_rtt_ms=1.0, measured_ms=(('redis', 1.2),), app=(('cache_jitter', '0'),))
    """

    proxied: bool
    store_rtt_ms: float
    measured_ms: tuple[tuple[str, float], ...]
    app: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Wiring:
        """Of trial.json; what is not as it should be is left out."""
        measured, app = document.get("round_trip_us"), document.get("app")
        return cls(
            proxied=document.get("proxied") is True,
            store_rtt_ms=_number(document.get("store_rtt_ms")) or 0.0,
            measured_ms=tuple(
                (str(store), micros / 1e3)
                for store, value in sorted(measured.items() if isinstance(measured, dict) else ())
                if (micros := _number(value)) is not None
            ),
            app=tuple((str(name), str(value)) for name, value in sorted(app.items() if isinstance(app, dict) else ())),
        )

    @property
    def way(self) -> Way:
        """What is the same in trials between which nothing but load and faults may differ."""
        return self.proxied, self.store_rtt_ms, self.app

    @property
    def settings(self) -> str:
        """The app's, in words."""
        return ", ".join(f"{name} = {value}" for name, value in self.app) or AS_IT_IS

    @property
    def round_trip_ms(self) -> float | None:
        """As it was measured, the mean over the stores."""
        return sum(value for _, value in self.measured_ms) / len(self.measured_ms) if self.measured_ms else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
