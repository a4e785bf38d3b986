"""Who is there when a load begins, and gone when it ends, though no fault had planned it."""

from __future__ import annotations

from benchmarks.telemetry.plan import Plan
from benchmarks.telemetry.processes import Processes

_CALLED = {"app worker": "a process of the app", "postgres": "Postgres"}
_ENDED = "{} ended during the load, which no fault had planned"
POSTGRES_ENDED = _ENDED.format(_CALLED["postgres"])


class Roll:
    """Called once at the beginning, and again at the end."""

    def __init__(self, plan: Plan) -> None:
        self._processes = Processes(plan.processes, apart=plan.apart, replaced=plan.replaced)
        self._groups = sorted(plan.lasting & {*plan.processes, *plan.replaced})
        self._there = {name: self._processes.heads(name) for name in self._groups}

    def missing(self) -> list[str]:
        """A sentence for every group of which somebody is gone."""
        return [
            _ENDED.format(_CALLED.get(name, name))
            for name in self._groups
            if self._there[name] - self._processes.heads(name)
        ]
