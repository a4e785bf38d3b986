"""The processes that accompany a suite's trials: their commands."""

from __future__ import annotations

import json
import sys

from benchmarks.plan import PlannedRun
from benchmarks.telemetry.plan import Plan
from flashbench.services import StackInfo


def companions(run: PlannedRun, stack: StackInfo, *, watched: bool) -> dict[str, list[str]]:
    """Commands by name: telemetry if the stack is to be watched, faults where the scenario plans any."""
    found = {}
    if watched:
        plan = telemetry_plan(stack).model_dump_json()
        found["telemetry"] = [sys.executable, "-m", "benchmarks.telemetry", plan]
    if run.scenario.faults:
        planned = json.dumps([each.model_dump() for each in run.scenario.faults])
        found["faults"] = [sys.executable, "-m", "benchmarks.faults", planned]
    return found


def telemetry_plan(stack: StackInfo) -> Plan:
    """What there is to be watched of a stack."""
    known = {"postgres": stack.postgres.pid, "app worker": stack.app_pid}
    return Plan(
        processes={name: pid for name, pid in known.items() if pid is not None},
        apart=frozenset({"app worker"}),
        replaced={"redis": (stack.supervisor_pid, stack.redis.location.rpartition("/")[2][:15])}
        if stack.redis.pid is not None
        else {},
        gauges=stack.gauges,
    )
