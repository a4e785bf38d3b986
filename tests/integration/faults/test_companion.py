"""If these fail, a trial's faults come at other times than its evidence says, or outlive its load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault import scene_words
from benchmarks.probes import redis_answers
from flashbench.evidence.documents import FAULTS, FaultEvent, PlannedFault
from flashbench.services import StackInfo
from flashbench.services.control import Control, Order
from tests.integration.faults.shop import SKU, until_shown

pytestmark = pytest.mark.alone


class Companion:
    """The process that injects faults, and the trial that it hears of."""

    def __init__(self, folder: Path, stack: StackInfo, planned: Sequence[PlannedFault]) -> None:
        self.folder = folder
        secrets = {
            "FLASHBENCH_CONTROL": stack.control,
            "FLASHBENCH_REDIS_URL": stack.redis_url,
            "FLASHBENCH_DATABASE_URL": stack.database_url,
            "FLASHBENCH_SCENE": scene_words(stack),
        }
        with (folder / "complaints").open("wb") as complaints:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.faults", json.dumps([each.model_dump() for each in planned])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**os.environ, **secrets},
            )
        opened = {"folder": str(folder), "sale_id": "none", "skus": [SKU], "counter": None}
        self.tell(opened=opened)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def tell(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def release(self) -> int:
        released_ns = time.monotonic_ns()
        self.tell(released_ns=released_ns)
        return released_ns

    @property
    def events(self) -> list[FaultEvent]:
        return [FaultEvent.from_json(line) for line in (self.folder / FAULTS).read_bytes().splitlines()]

    @property
    def steps(self) -> list[tuple[int, str]]:
        return [(event.place, event.step) for event in self.events]

    @property
    def complaints(self) -> str:
        return (self.folder / "complaints").read_text()

    def until(self, *step: Any) -> None:
        until_shown(lambda: "it came so far" if step in self.steps else None)

    def end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(30)


@pytest.fixture
def accompany(tmp_path: Path, faulty_stack: StackInfo) -> Iterator[Callable[..., Companion]]:
    begun: list[Companion] = []

    def accompany(*planned: PlannedFault) -> Companion:
        begun.append(Companion(tmp_path, faulty_stack, planned))
        return begun[-1]

    yield accompany
    for each in begun:
        each.process.kill()
        each.process.wait()
    for order in (Order.RESUME, Order.START):
        Control(faulty_stack.control)("redis", order)


def test_faults_come_at_their_times_flapping_and_two_at_once(accompany: Callable[..., Companion]) -> None:
    companion = accompany(
        PlannedFault(fault="redis_hang", at_s=0.2, for_s=0.6),
        PlannedFault(fault="redis_flush", at_s=1.5, for_s=0.1),
        PlannedFault(fault="redis_flush", at_s=2.1, for_s=0.1),
        PlannedFault(fault="postgres_terminate", at_s=0.3, for_s=0.2),
    )
    released_ns = companion.release()
    companion.until(2, "healed")
    companion.tell(over_ns=time.monotonic_ns())

    assert companion.end() == 0
    assert sorted(companion.steps) == sorted(
        (place, step) for place in range(4) for step in ("injected", "bit", "healed")
    )
    for event, at_s in zip(
        (event for event in sorted(companion.events, key=lambda each: each.place) if event.step == "injected"),
        (0.2, 1.5, 2.1, 0.3),
        strict=True,
    ):
        assert (event.at_ns - released_ns) / 1e9 == pytest.approx(at_s, abs=0.3)


@pytest.mark.parametrize("how", ["over", "end of file", "Ctrl-C, then over"])
def test_however_the_load_ends_what_lasts_is_healed(
    accompany: Callable[..., Companion], faulty_stack: StackInfo, how: str
) -> None:
    companion = accompany(PlannedFault(fault="redis_kill", at_s=0.1, for_s=50))
    companion.release()
    companion.until(0, "bit")
    assert not redis_answers(faulty_stack.redis_url)
    if "Ctrl-C" in how:
        companion.process.send_signal(signal.SIGINT)
    if "over" in how:
        companion.tell(over_ns=time.monotonic_ns())

    assert companion.end() == 0
    assert companion.steps == [(0, "injected"), (0, "bit"), (0, "healed")]
    assert redis_answers(faulty_stack.redis_url)


def test_a_fault_that_the_stack_does_not_offer_did_not_bite_and_the_others_did(
    accompany: Callable[..., Companion],
) -> None:
    companion = accompany(
        PlannedFault(fault="failpoint", at_s=0.1, for_s=0.2, options={"point": "after_hold"}),
        PlannedFault(fault="postgres_row_lock", at_s=0.1, for_s=0.2),
        PlannedFault(fault="redis_flush", at_s=0.3, for_s=0.1),
    )
    companion.release()
    companion.until(2, "healed")
    companion.tell(over_ns=time.monotonic_ns())

    companion.end()
    assert [step for step in companion.steps if step[0] == 2] == [(2, "injected"), (2, "bit"), (2, "healed")]
    assert not {(0, "bit"), (1, "bit")} & set(companion.steps)
    assert "failpoint could not be injected: the app was not started with failpoints" in companion.complaints
    assert "postgres_row_lock could not be injected" in companion.complaints
    assert "Traceback" not in companion.complaints
