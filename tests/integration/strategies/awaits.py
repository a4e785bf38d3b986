"""Cancelling a coroutine at a chosen one of its suspensions, to try them all in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class CancelledAt(Generic[T]):
    """Await it in a task of its own: that task is cancelled as soon as the coroutine waits for the n-th time."""

    def __init__(self, work: Coroutine[Any, Any, T], suspension: int) -> None:
        self._work = work
        self._left = suspension
        self.came_to_it = False

    async def run(self) -> T:
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        waiting: Any = self._work.__await__()
        task = asyncio.current_task()
        assert task is not None
        error: BaseException | None = None
        while True:
            try:
                future = waiting.throw(error) if error is not None else waiting.send(None)
            except StopIteration as end:
                result: T = end.value
                return result
            error = None
            self._left -= 1
            if self._left == 0:
                self.came_to_it = True
                task.get_loop().call_soon(task.cancel)
            try:
                yield future
            except BaseException as thrown:  # noqa: BLE001 - handed on to the coroutine
                error = thrown
