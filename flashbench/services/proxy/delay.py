"""What one side of a connection has sent and the other is not to have yet, with time passed in."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TypeAlias


class End(Enum):
    """How a side's bytes end. It travels behind them, as fast as they do."""

    CLOSED = auto()  # there are no more (FIN)
    RESET = auto()  # and none that come back are wanted (RST)


Piece: TypeAlias = bytes | End


class DelayQueue:
    """Pieces in the order in which they came, each from a moment of its own: waits overlap, and never add up.

    Moments are seconds of whatever clock the caller has. A piece that is due before its predecessor waits for it.
    """

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, Piece]] = deque()
        self._last_due_s = float("-inf")
        self.bytes = 0

    def put(self, piece: Piece, due_s: float) -> None:
        """Append what is to go on at that moment."""
        self._last_due_s = max(self._last_due_s, due_s)
        self._pieces.append((self._last_due_s, piece))
        if isinstance(piece, bytes):
            self.bytes += len(piece)

    @property
    def due_s(self) -> float | None:
        """When the next piece may go on; None if there is none."""
        return self._pieces[0][0] if self._pieces else None

    def take(self, now_s: float) -> Piece | None:
        """The next piece, if it is due."""
        if not self._pieces or self._pieces[0][0] > now_s:
            return None
        _, piece = self._pieces.popleft()
        if isinstance(piece, bytes):
            self.bytes -= len(piece)
        return piece

    def clear(self) -> None:
        """Forget everything that waits."""
        self._pieces.clear()
        self.bytes = 0
