"""If these fail, a fault of the app is not what it says: it is not there, is not seen, or is not gone afterwards."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from benchmarks.fault import FaultError, fault_class
from benchmarks.workers import Workers
from flashbench.services import StackInfo
from tests.integration.faults.shop import lasting, scene, selling, until_shown


@pytest.fixture
def stack(faulty_stack: StackInfo) -> StackInfo:
    return faulty_stack


def pids(stack: StackInfo) -> set[int]:
    return {each.pid for each in Workers(scene(stack)).processes()}


def test_a_killed_worker_is_gone_and_replaced_and_the_other_one_stays(stack: StackInfo) -> None:
    before = pids(stack)
    assert len(before) == stack.app_workers
    with selling(stack, "row_lock") as shop:
        with lasting("worker_kill", scene(stack)):
            shop.sells()
        shop.sells()
    after = pids(stack)
    assert len(after) == stack.app_workers
    assert len(before & after) == stack.app_workers - 1


def test_a_hung_worker_goes_on_and_none_is_replaced(stack: StackInfo) -> None:
    before = pids(stack)
    with selling(stack, "row_lock", 8) as shop:
        with lasting("worker_hang", scene(stack)):
            (hung,) = (pid for pid in before if psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        assert psutil.Process(hung).status() != psutil.STATUS_STOPPED
        shop.sells()
    assert pids(stack) == before


def test_a_worker_may_be_killed_while_another_hangs(stack: StackInfo) -> None:
    hang, kill = (fault_class(name)(scene(stack)) for name in ("worker_hang", "worker_kill"))
    for fault in (hang, kill):
        fault.inject()
        assert until_shown(fault.bite)
    for fault in (kill, hang):
        fault.heal()
    for fault in (kill, hang):
        assert until_shown(fault.healed)


def test_an_app_that_is_not_ours_is_left_alone(stack: StackInfo) -> None:
    for name in ("worker_kill", "worker_hang"):
        with pytest.raises(FaultError, match="not the harness's own"):
            fault_class(name)(replace(scene(stack), app_pid=0)).inject()
