"""An event loop whose timers are finer than a millisecond, which asyncio's own are not.

epoll_wait takes whole milliseconds, so asyncio rounds every time-out up to the next one: a round trip of half a
millisecond would become one of two. Here the loop sleeps in select(2), which takes microseconds, on nothing but the
epoll's own descriptor; so any number of descriptors costs the same, and none of them has to be below FD_SETSIZE.
"""

from __future__ import annotations

import asyncio
import ctypes
import select
import selectors
import statistics
from collections.abc import Coroutine
from typing import Any

_PR_SET_TIMERSLACK = 29
_SLACK_NS = 1  # by how much the kernel may be late in waking us; 50 µs unless told otherwise
_SAMPLES, _SAMPLE_S = 40, 0.00025
_MOST_LATE_S = 0.0001  # more would be the doing of something else


class FineSelector(selectors.EpollSelector):
    """Waits as long as it was asked to, to some ten microseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


async def usual_lateness_s() -> float:
    """By how much timers fire late when nothing else is to be done: it takes that long to be woken."""
    loop = asyncio.get_running_loop()
    late_s = []
    for _ in range(_SAMPLES):
        fired = loop.create_future()
        due_s = loop.time() + _SAMPLE_S
        loop.call_at(due_s, fired.set_result, None)
        await fired
        late_s.append(loop.time() - due_s)
    return min(statistics.median(late_s), _MOST_LATE_S)


def run_finely(main: Coroutine[Any, Any, None]) -> None:
    """As ``asyncio.run``, with fine timers in this thread."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(FineSelector())) as runner:
        runner.run(main)
