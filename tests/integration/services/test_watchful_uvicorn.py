"""If this fails, a worker that is killed at a bad moment is not replaced for minutes, and the app sells with fewer."""

from __future__ import annotations

import time

import psutil

from flashbench.services import Stack, StackRequest
from flashbench.services.app import ready_workers
from tests.waiting import until

ROUND_S = 0.5  # how often uvicorn asks its workers how they are


def test_a_worker_that_dies_while_it_is_asked_is_replaced_at_once() -> None:
    with Stack.start(StackRequest(), progress=lambda _: None) as stack:
        assert stack.info.app_pid is not None
        assert stack.info.base_url is not None
        parent = psutil.Process(stack.info.app_pid)
        before = ready_workers(stack.info.base_url, 8)
        victim = psutil.Process(min(before))
        victim.suspend()
        assert until(lambda: _waits(parent))

        victim.kill()

        assert until(lambda: len(ready_workers(stack.info.base_url or "", 8) - {victim.pid}) == 2)


def _waits(process: psutil.Process) -> bool:
    """Whether it sleeps for longer than one round: for an answer, that is."""
    woken = process.num_ctx_switches().voluntary
    time.sleep(1.6 * ROUND_S)
    return bool(process.num_ctx_switches().voluntary == woken)
