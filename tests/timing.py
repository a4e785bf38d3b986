"""How long something takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def taken_s(action: Callable[[], object]) -> float:
    """This once."""
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


def least_s(action: Callable[[], object], samples: int) -> float:
    """By itself: a busy machine makes some samples longer, and none shorter."""
    return min(taken_s(action) for _ in range(samples))
