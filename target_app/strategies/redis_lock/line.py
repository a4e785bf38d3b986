"""Where the buyers of one SKU in one worker stand, so that only the first of them contends for the lock in Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """First come, first served; waiting is bounded."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @property
    def empty(self) -> bool:
        """Nobody is in it, nobody has the turn."""
        return not self._taken and not self._waiting

    async def enter(self, limit_s: float) -> bool:
        """True when it is one's turn, which must end with ``leave``; False after the limit, or if dispersed."""
        if not self._taken:
            self._taken = True
            return True
        loop = asyncio.get_running_loop()
        came: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(came)
        timer = loop.call_later(limit_s, _answer, came, False)
        try:
            return await came
        except asyncio.CancelledError:
            if came.done() and not came.cancelled() and came.result():
                self.leave()  # the turn came in the same moment; the next one shall have it
            raise
        finally:
            timer.cancel()
            if came in self._waiting:
                self._waiting.remove(came)

    def leave(self) -> None:
        """End one's turn: the next in line has it."""
        while self._waiting:
            if _answer(self._waiting.popleft(), True):
                return
        self._taken = False

    def disperse(self) -> None:
        """Send everybody who waits away: there is nothing to wait for."""
        while self._waiting:
            _answer(self._waiting.popleft(), False)


class Lines:
    """The lines by name; one that nobody stands in is forgotten."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    @asynccontextmanager
    async def turn(self, name: str, limit_s: float) -> AsyncIterator[Line | None]:
        """The line, while one has the turn in it; None if it did not come."""
        line = self._lines.setdefault(name, Line())
        try:
            if not await line.enter(limit_s):
                yield None
                return
            try:
                yield line
            finally:
                line.leave()
        finally:
            if line.empty and self._lines.get(name) is line:
                del self._lines[name]


def _answer(came: asyncio.Future[bool], answer: bool) -> bool:
    if came.done():
        return False
    came.set_result(answer)
    return True
