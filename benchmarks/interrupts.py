"""Ctrl-C as a count that is looked at, instead of an exception that may strike anywhere.

Raised inside ``subprocess.Popen.wait``, KeyboardInterrupt can leave its lock taken: who waits next waits forever.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Self


class Interrupts:
    """Counts SIGINT while it is entered; for the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _: int, __: FrameType | None) -> None:
        self.count += 1
