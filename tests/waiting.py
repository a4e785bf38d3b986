"""Waiting for what comes true by itself, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.02


def until(true: Callable[[], bool], limit_s: float = 30.0) -> bool:
    """Wait until it is true; False past the limit."""
    deadline_s = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_s: float = 6.0) -> None:
    """Wait until it holds; fail past the limit."""
    deadline_s = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        await asyncio.sleep(POLL_S)
