"""One request at a time for each idempotency key of a worker: the second waits for the first.

Between workers the same is done by the lock on the stock row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class StillInFlightError(Exception):
    """The first request with this key was not decided within the limit: what became of it is unknown."""


class InFlightKeys:
    """The keys that are being decided in this worker."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._deciding: dict[tuple[UUID, str], asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, sale_id: UUID, key: str) -> AsyncIterator[None]:
        """Hold the key; StillInFlightError if whoever holds it has not let go within the limit."""
        claim = (sale_id, key)
        try:
            async with asyncio.timeout(self._limit_s):
                while claim in self._deciding:
                    await self._deciding[claim].wait()
        except TimeoutError:
            raise StillInFlightError(key) from None
        done = self._deciding[claim] = asyncio.Event()
        try:
            yield
        finally:
            del self._deciding[claim]
            done.set()
