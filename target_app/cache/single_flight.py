"""One computation at a time for each key of a process; whoever asks meanwhile shares its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Shares running computations; with ``shared`` False, to show what that buys, everybody computes alone.

    ``most_at_once`` is the most of one key there ever were: 1 if they are shared, or it is broken.
    """

    def __init__(self, *, shared: bool = True) -> None:
        self._shared = shared
        self._running: dict[K, asyncio.Task[V]] = {}
        self._depth: dict[K, int] = {}
        self.most_at_once = 0

    async def run(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        """The result of the computation of ``key`` that is running, or of one begun now; its errors too.

        Who asked may be cancelled without harm to the others: the computation is a task of its own.
        """
        if not self._shared:
            return await self._count(key, compute)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._count(key, compute))
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel what is running and wait for its end."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _count(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        self._depth[key] = self._depth.get(key, 0) + 1
        self.most_at_once = max(self.most_at_once, self._depth[key])
        try:
            return await compute()
        finally:
            self._depth[key] -= 1
            if not self._depth[key]:
                del self._depth[key]

    def _forget(self, key: K, task: asyncio.Task[V]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, even if everyone who asked has gone
