"""If these fail, a fault strikes twice or not at all, and a trial proves nothing about the step that it names."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from target_app.failpoints import FailpointError, Failpoints
from target_app.strategies.protocol import unarmed
from tests.arming import arm


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_point_that_is_not_armed_does_nothing(tmp_path: Path) -> None:
    await unarmed("after_hold")
    await Failpoints(tmp_path).reach("after_hold")
    assert names(tmp_path) == []


async def test_a_point_strikes_once_and_tells_whom(tmp_path: Path) -> None:
    workers = Failpoints(tmp_path), Failpoints(tmp_path)
    for strike in (1, 2):
        arm(tmp_path, "before_commit", "fail")
        ends = await asyncio.gather(
            *(worker.reach("before_commit") for worker in workers for _ in range(3)), return_exceptions=True
        )
        assert [type(end) for end in ends if end is not None] == [FailpointError]
        hits = names(tmp_path)
        assert len(hits) == strike
        assert all(name.startswith(f"before_commit.hit-{os.getpid()}-") for name in hits)


@pytest.mark.parametrize(
    ("point", "no_effect"),
    [("after_hold", True), ("before_commit", True), ("after_commit", False), ("before_release", False)],
)
async def test_only_what_fails_before_the_commit_has_provably_done_nothing(
    tmp_path: Path, point: str, no_effect: bool
) -> None:
    arm(tmp_path, point, "fail")
    with pytest.raises(FailpointError) as caught:
        await Failpoints(tmp_path).reach(point)
    assert caught.value.no_effect is no_effect


async def test_a_pause_takes_as_long_as_it_says(tmp_path: Path) -> None:
    arm(tmp_path, "after_hold", "pause", pause_s=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Failpoints(tmp_path).reach("after_hold")
    arm(tmp_path, "after_hold", "pause", pause_s=0)
    await Failpoints(tmp_path).reach("after_hold")


@pytest.mark.parametrize("more", [{"pause_s": -1}, {"for_s": 1}])
async def test_what_cannot_be_meant_is_refused_and_not_taken_for_nothing(tmp_path: Path, more: dict[str, int]) -> None:
    arm(tmp_path, "after_hold", "pause", **more)
    with pytest.raises(ValidationError):
        await Failpoints(tmp_path).reach("after_hold")
