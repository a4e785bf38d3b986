"""The processes that accompany a suite's trials: their commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

from benchmarks.fault import injection
from benchmarks.plan import PlannedRun
from benchmarks.telemetry.plan import Plan
from flashbench.evidence.documents import PlannedFault
from flashbench.services import StackInfo
from flashbench.services.proxy import server as proxy_server

_LASTING = {"app worker": "app", "postgres": "postgres"}  # by group, what faults call it that end it


def companions(run: PlannedRun, stack: StackInfo, *, watched: bool) -> dict[str, list[str]]:
    """Commands by name: telemetry if the stack is to be watched, faults where the scenario plans any."""
    found = {}
    if watched:
        plan = telemetry_plan(stack, run.scenario.faults).model_dump_json()
        found["telemetry"] = [sys.executable, "-m", "benchmarks.telemetry", plan]
    if run.scenario.faults:
        planned = json.dumps([each.model_dump() for each in run.scenario.faults])
        found["faults"] = [sys.executable, "-m", "benchmarks.faults", planned]
    return found


def telemetry_plan(stack: StackInfo, faults: Sequence[PlannedFault] = ()) -> Plan:
    """What there is to be watched of a stack, and who has to last while it meets these faults.

    A Redis that ends unasked is an outage that the app has to bear, and is shown as such.
    """
    ended = frozenset().union(*(kind.claim(options).ends for kind, options in map(injection, faults)))
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
        lasting=frozenset(group for group, whose in _LASTING.items() if whose not in ended),
        helpers=_helpers(stack),
    )


def _helpers(stack: StackInfo) -> dict[str, int]:
    """The proxy's process, if the stack has one."""
    if stack.proxy is None:
        return {}
    for child in psutil.Process(stack.supervisor_pid).children():
        with suppress(psutil.Error):  # it ended meanwhile
            if proxy_server.MODULE in child.cmdline():
                return {"proxy": child.pid}
    return {}
