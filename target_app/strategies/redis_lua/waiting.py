"""Buyers who wait for units that others hold, and the news that wake them.

Every script that frees or settles units while somebody waits publishes what is there now. A worker hears it once and
wakes only those whom it concerns: first come, first served, as far as the free units go, and all whose units are gone
for good.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

CHANNEL = "redis_lua:changed"  # as announce.lua has it; a message is "avail held key"


class News:
    """What one buyer waits for."""

    def __init__(self, quantity: int) -> None:
        self.quantity = quantity
        self._came = asyncio.Event()

    def come(self) -> None:
        """Wake the buyer."""
        self._came.set()

    def expect(self) -> None:
        """From now on, what comes is news."""
        self._came.clear()

    async def within(self, limit_s: float) -> None:
        """Wait for it, or for the limit."""
        try:
            async with asyncio.timeout(limit_s):
                await self._came.wait()
        except TimeoutError:
            return


class Waiting:
    """Who waits in this worker, by counter, in the order of their coming."""

    def __init__(self) -> None:
        self._lines: dict[str, OrderedDict[News, None]] = {}

    @contextmanager
    def for_units(self, key: str, quantity: int) -> Iterator[News]:
        """Stand in line for ``quantity`` units of a counter."""
        news = News(quantity)
        line = self._lines.setdefault(key, OrderedDict())
        line[news] = None
        try:
            yield news
        finally:
            del line[news]
            if not line:
                self._lines.pop(key, None)

    def hear(self, message: bytes) -> None:
        """A counter has changed."""
        avail_text, held_text, key = message.decode().split(" ", 2)
        free, total = int(avail_text), int(avail_text) + int(held_text)
        for news in self._lines.get(key, ()):
            if total < news.quantity:
                news.come()
            elif news.quantity <= free:
                free -= news.quantity
                news.come()
