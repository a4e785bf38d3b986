"""Who is there when a load begins, and gone when it ends, though no fault had planned it."""

from __future__ import annotations

from benchmarks.telemetry.plan import Plan
from benchmarks.telemetry.processes import Processes
from flashbench.services.app import ENDED_BY_ITSELF

_CALLED = {"app worker": "a process of the app", "postgres": "Postgres", "proxy": "the proxy"}
_APP_KILLED = "the app was killed during the load, which no fault had planned"
_APP_ENDED = "the app ended by itself during the load"
_ENDED = "{} ended during the load, which no fault had planned"
# The target itself ends none of these; one of its own processes may well end by its own mistake.
ENDED_WITHOUT_THE_TARGET = frozenset({_APP_KILLED, _ENDED.format("Postgres"), _ENDED.format("the proxy")})


class Roll:
    """Called once at the beginning, and again at the end."""

    def __init__(self, plan: Plan) -> None:
        self._processes = Processes({**plan.processes, **plan.helpers}, apart=plan.apart, replaced=plan.replaced)
        self._parents, self._gauges = plan.processes, plan.gauges
        self._groups = sorted(plan.lasting & {*plan.processes, *plan.replaced} | {*plan.helpers})
        self._there = {name: self._processes.heads(name) for name in self._groups}

    def missing(self) -> list[str]:
        """A sentence for every group of which somebody is gone."""
        return [self._said(name, gone) for name in self._groups if (gone := self._gone(name))]

    def _gone(self, name: str) -> frozenset[int]:
        return self._there[name] - self._processes.heads(name)

    def _said(self, name: str, gone: frozenset[int]) -> str:
        if name == "app worker" and self._parents[name] in gone:  # with whom all of them end
            return _APP_ENDED if (self._gauges / ENDED_BY_ITSELF).exists() else _APP_KILLED
        return _ENDED.format(_CALLED.get(name, name))
