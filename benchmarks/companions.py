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
    own = {"postgres": stack.postgres, "redis": stack.redis}
    return Plan(
        processes={"app worker": stack.app_pid} if stack.app_pid is not None else {},
        apart=frozenset({"app worker"}),
        replaced={
            name: (stack.supervisor_pid, server.location.rpartition("/")[2][:15])
            for name, server in own.items()
            if server.pid is not None
        },
        gauges=stack.gauges,
    )
