"""One direction of one connection: what was taken from one side, until it is due and the other side takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from flashbench.services.proxy.delay import DelayQueue, End, Piece

MOST_WAITING_BYTES = 256 * 1024  # then nothing more is read, but for what one read brings


class Gate(Enum):
    """Why nothing goes on at present."""

    CONNECTING = auto()  # there is no server yet
    STALLED = auto()  # the other side does not take what it was given
    BLACKHOLE = auto()


class Flow:
    """Pieces go in by ``take`` and, each after ``delay_s()``, out by ``deliver``, in order, while no gate is shut."""

    def __init__(self, delay_s: Callable[[], float], deliver: Callable[[Piece], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay_s, self._deliver = delay_s, deliver
        self._waiting = DelayQueue()
        self._shut: set[Gate] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._source: asyncio.ReadTransport | None = None
        self._paused = False
        self._over = False

    @property
    def waiting_bytes(self) -> int:
        return self._waiting.bytes

    def read_from(self, source: asyncio.ReadTransport) -> None:
        """Whose reading pauses while too much waits."""
        self._source = source

    def take(self, piece: Piece) -> None:
        """Have a piece go on when it is due. Nothing goes on after a reset."""
        if self._over:
            return
        self._over = piece is End.RESET
        self._waiting.put(piece, self._loop.time() + self._delay_s())
        self._release()

    def shut(self, gate: Gate) -> None:
        """Let nothing go on until the gate is opened."""
        self._shut.add(gate)

    def open(self, gate: Gate) -> None:
        """Let go on what is due, if this was the last gate."""
        self._shut.discard(gate)
        self._release()

    def end(self) -> None:
        """Forget what waits, and take nothing more."""
        self._over = True
        self._waiting.clear()
        self._set_timer(None)

    def _release(self) -> None:
        while not self._shut and (piece := self._waiting.take(self._loop.time())) is not None:
            self._deliver(piece)
        self._set_timer(None if self._shut else self._waiting.due_s)
        self._pace()

    def _set_timer(self, due_s: float | None) -> None:
        if self._timer is not None and self._timer.when() != due_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and due_s is not None:
            self._timer = self._loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._release()

    def _pace(self) -> None:
        """Read on, or no further."""
        crowded = self._waiting.bytes >= MOST_WAITING_BYTES
        if self._source is not None and crowded is not self._paused and not self._source.is_closing():
            self._paused = crowded
            if crowded:
                self._source.pause_reading()
            else:
                self._source.resume_reading()
