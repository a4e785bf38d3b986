"""If these fail, a sale that is committed is answered as an error because of what came after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from target_app.strategies.aftermath import Aftermath


@pytest.fixture
def reported() -> list[dict[str, Any]]:
    """What the event loop was told of."""
    return []


async def test_an_error_is_reported_and_not_raised(reported: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    aftermath = Aftermath()

    async def fail() -> None:
        raise RuntimeError("a bug")

    await aftermath.see_to(fail())
    aftermath.begin(fail())
    await aftermath.close()

    assert [str(context["exception"]) for context in reported] == ["a bug", "a bug"]


async def test_a_cancellation_ends_the_waiting_but_not_the_work(reported: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    aftermath = Aftermath()
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    waiting = asyncio.create_task(aftermath.see_to(work()))
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    go_on.set()
    await aftermath.close()

    assert done.is_set()
    assert reported == []
