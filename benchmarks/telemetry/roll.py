"""Who is there when a load begins, and gone when it ends, though no fault had planned it."""

from __future__ import annotations

from benchmarks.telemetry.plan import Plan
from benchmarks.telemetry.processes import Processes

_CALLED = {"app worker": "a process of the app", "postgres": "Postgres", "proxy": "the proxy"}
_HEADS_CALLED = {"app worker": "the app"}  # a parent, with whom the whole group ends
_ENDED = "{} ended during the load, which no fault had planned"
# The target itself ends none of these; one of its own processes may well end by its own mistake.
ENDED_WITHOUT_THE_TARGET = frozenset(_ENDED.format(each) for each in ("the app", "Postgres", "the proxy"))


class Roll:
    """Called once at the beginning, and again at the end."""

    def __init__(self, plan: Plan) -> None:
        self._processes = Processes({**plan.processes, **plan.helpers}, apart=plan.apart, replaced=plan.replaced)
        self._parents = plan.processes
        self._groups = sorted(plan.lasting & {*plan.processes, *plan.replaced} | {*plan.helpers})
        self._there = {name: self._processes.heads(name) for name in self._groups}

    def missing(self) -> list[str]:
        """A sentence for every group of which somebody is gone."""
        return [_ENDED.format(self._called(name, gone)) for name in self._groups if (gone := self._gone(name))]

    def _gone(self, name: str) -> frozenset[int]:
        return self._there[name] - self._processes.heads(name)

    def _called(self, name: str, gone: frozenset[int]) -> str:
        if self._parents.get(name) in gone and name in _HEADS_CALLED:
            return _HEADS_CALLED[name]
        return _CALLED.get(name, name)
