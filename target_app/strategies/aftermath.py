"""Work that must be done even if the request that began it is cancelled: releasing a lock, settling a hold."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Aftermath:
    """Runs each piece of work as a task of its own and owns it until it is done.

    An error in it is a bug and is reported, but not to the buyer: what the work comes after stands.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do the work, which must have an end of its own, without waiting for it."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def see_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work and wait for it. A cancellation ends the waiting, not the work."""
        await asyncio.wait([self.begin(work)])

    async def close(self, limit_s: float = 2.0) -> None:
        """Wait for what is still running; what does not end within the limit is cancelled."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=limit_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": "work after a purchase failed", "exception": error})
