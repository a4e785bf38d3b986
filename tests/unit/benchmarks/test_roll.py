"""If these fail, whoever is killed by hand goes unnoticed, or a fault that was planned is taken for an accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from benchmarks.companions import telemetry_plan
from benchmarks.telemetry.plan import Plan
from benchmarks.telemetry.roll import ENDED_WITHOUT_THE_TARGET, Roll
from flashbench.evidence.documents import PlannedFault
from flashbench.services import StackInfo
from flashbench.services.app import ENDED_BY_ITSELF
from flashbench.services.proxy import server as proxy_server
from tests.waiting import until


@pytest.fixture
def parent() -> Iterator[psutil.Process]:
    """A process with two children."""
    with ExitStack() as leaving:
        process = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"], start_new_session=True)
        leaving.callback(process.wait)
        found = psutil.Process(process.pid)
        assert until(lambda: len(found.children()) == 2)
        leaving.callback(_end, [found, *found.children()])
        yield found


def _end(processes: list[psutil.Process]) -> None:
    for each in processes:
        if each.is_running():
            each.kill()


def roll(parent: psutil.Process, *lasting: str, gauges: Path = Path()) -> Roll:
    return Roll(
        Plan(
            processes={"app worker": parent.pid},
            apart=frozenset({"app worker"}),
            replaced={"postgres": (parent.pid, "sleep")},
            gauges=gauges,
            lasting=frozenset(lasting),
        )
    )


@pytest.mark.parametrize(
    ("group", "who"), [("app worker", "a process of the app ended"), ("postgres", "Postgres ended")]
)
def test_a_child_that_ends_is_missed_and_nobody_else(parent: psutil.Process, group: str, who: str) -> None:
    there = roll(parent, group)
    assert there.missing() == []

    parent.children()[0].kill()

    assert until(lambda: there.missing() == [f"{who} during the load, which no fault had planned"])


def test_a_parent_that_ends_is_the_app_and_was_killed_unless_it_says_otherwise(
    parent: psutil.Process, tmp_path: Path
) -> None:
    there = roll(parent, "app worker", gauges=tmp_path)
    parent.kill()
    assert until(lambda: there.missing() == ["the app was killed during the load, which no fault had planned"])
    assert ENDED_WITHOUT_THE_TARGET.issuperset(there.missing())

    (tmp_path / ENDED_BY_ITSELF).touch()
    assert there.missing() == ["the app ended by itself during the load"]
    assert ENDED_WITHOUT_THE_TARGET.isdisjoint(there.missing())


def test_the_proxy_is_found_among_the_children_of_its_supervisor(parent: psutil.Process, tmp_path: Path) -> None:
    """One that ends just then does not hide it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", proxy_server.MODULE])
    try:
        own = SimpleNamespace(pid=None, location="")
        stack = SimpleNamespace(
            postgres=own, redis=own, app_pid=2, supervisor_pid=os.getpid(), gauges=tmp_path, proxy="127.0.0.1:1/x"
        )
        assert telemetry_plan(cast(StackInfo, stack)).helpers == {"proxy": child.pid}
    finally:
        child.kill()
        child.wait()


def test_a_process_of_the_harness_s_own_is_missed_whatever_may_end(parent: psutil.Process) -> None:
    child = parent.children()[0]
    there = Roll(Plan(processes={}, apart=frozenset(), replaced={}, gauges=Path(), helpers={"proxy": child.pid}))
    assert there.missing() == []
    child.kill()
    assert until(lambda: there.missing() == ["the proxy ended during the load, which no fault had planned"])
    assert ENDED_WITHOUT_THE_TARGET.issuperset(there.missing())


def test_who_is_stopped_or_may_end_is_not_missed(parent: psutil.Process) -> None:
    there, spared = roll(parent, "app worker"), roll(parent)
    parent.children()[0].send_signal(signal.SIGSTOP)
    assert there.missing() == []
    parent.children()[1].kill()
    assert until(lambda: there.missing() != [])
    assert spared.missing() == []


@pytest.mark.parametrize(
    ("fault", "options", "lasting"),
    [
        ("redis_kill", {}, {"app worker", "postgres"}),
        ("postgres_row_lock", {}, {"app worker", "postgres"}),
        ("worker_hang", {}, {"app worker", "postgres"}),
        ("failpoint", {"point": "after_hold", "action": "pause"}, {"app worker", "postgres"}),
        ("failpoint", {"point": "after_hold"}, {"postgres"}),
        ("worker_kill", {}, {"postgres"}),
        ("postgres_stop", {}, {"app worker"}),
    ],
)
def test_those_last_whom_no_planned_fault_ends(fault: str, options: dict[str, Any], lasting: set[str]) -> None:
    own = SimpleNamespace(pid=1, location="/bin/server")
    stack = SimpleNamespace(postgres=own, redis=own, app_pid=2, supervisor_pid=3, gauges=Path(), proxy=None)
    planned = PlannedFault(fault=fault, at_s=1, for_s=1, options=options)
    assert telemetry_plan(cast(StackInfo, stack), [planned]).lasting == lasting
