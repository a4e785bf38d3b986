"""The line for the lock. If it errs, buyers of a hot SKU hang, or all of them ask Redis at once."""

from __future__ import annotations

import asyncio

import pytest

from target_app.strategies.redis_lock.line import Line, Lines


async def test_first_come_first_served() -> None:
    line, served = Line(), []

    async def buyer(number: int) -> None:
        assert await line.enter(5)
        served.append(number)
        await asyncio.sleep(0)
        line.leave()

    await asyncio.gather(*(buyer(number) for number in range(20)))
    assert served == list(range(20))
    assert line.empty


async def test_waiting_is_bounded() -> None:
    line = Line()
    assert await line.enter(5)
    assert not await line.enter(0.01)
    line.leave()
    assert line.empty


async def test_a_turn_that_comes_as_one_is_cancelled_goes_to_the_next() -> None:
    line = Line()
    assert await line.enter(5)
    second, third = asyncio.create_task(line.enter(5)), asyncio.create_task(line.enter(5))
    await asyncio.sleep(0)
    line.leave()  # the second has the turn, but does not know it yet
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await asyncio.wait_for(third, 1)
    line.leave()
    assert line.empty


async def test_dispersing_sends_everybody_away_but_who_has_the_turn() -> None:
    line = Line()
    assert await line.enter(5)
    waiting = [asyncio.create_task(line.enter(5)) for _ in range(3)]
    await asyncio.sleep(0)
    line.disperse()
    assert await asyncio.gather(*waiting) == [False, False, False]
    assert not line.empty
    line.leave()
    assert line.empty


async def test_lines_are_forgotten_when_nobody_stands_in_them() -> None:
    lines = Lines()
    inside = 0

    async def buyer() -> None:
        nonlocal inside
        async with lines.turn("sku", 0.05) as line:
            if line is None:
                return
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.002)
            inside -= 1

    buyers = [asyncio.create_task(buyer()) for _ in range(100)]
    await asyncio.sleep(0.005)
    for task in buyers[::7]:
        task.cancel()
    await asyncio.gather(*buyers, return_exceptions=True)
    assert inside == 0
    assert not lines._lines
