"""Work that must be done even if the request that began it is cancelled: releasing a lock, settling a hold."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Aftermath:
    """Runs each piece of work as a task of its own and owns it until it is done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def see_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work and wait for it. A cancellation ends the waiting, not the work."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is still running."""
        await asyncio.gather(*self._running, return_exceptions=True)
