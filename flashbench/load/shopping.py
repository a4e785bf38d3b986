"""Who buys what, when and under which key. Pure: everything follows from (seed, sale, worker, user)."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_left
from itertools import accumulate

USERS_PER_WORKER = 10**6


def user_number(worker: int, ordinal: int) -> int:
    """The number of a worker's ``ordinal``-th user; no two workers share one."""
    if not 0 <= ordinal < USERS_PER_WORKER:
        raise ValueError(f"a worker has at most {USERS_PER_WORKER} users")
    return worker * USERS_PER_WORKER + ordinal


def idempotency_key(seed: int, sale_id: str, worker: int, attempt: int) -> bytes:
    """16 bytes that no other attempt has, in this run or any other."""
    return hashlib.blake2b(f"{seed}|{sale_id}|{worker}|{attempt}".encode(), digest_size=16).digest()


def random_stream(seed: int, worker: int, ordinal: int) -> random.Random:
    """A user's own stream of random numbers."""
    return random.Random(f"{seed}|{worker}|{ordinal}")


class Popularity:
    """Chooses among ``count`` SKUs after Zipf's law: the k-th is wanted 1/k as often as the first."""

    def __init__(self, count: int) -> None:
        self._bounds = list(accumulate(1.0 / rank for rank in range(1, count + 1)))

    def pick(self, stream: random.Random) -> int:
        """An index, 0 for the hottest. Draws no number if there is only one SKU."""
        if len(self._bounds) == 1:
            return 0
        return min(bisect_left(self._bounds, stream.random() * self._bounds[-1]), len(self._bounds) - 1)


def quantity_asked(stream: random.Random, least: int, most: int) -> int:
    """Units of one purchase, each number as likely as any other. Draws no number if there is no choice."""
    return least if most <= least else stream.randint(least, most)


def think_ns(stream: random.Random, mean_ms: float) -> int:
    """How long a user thinks: exponentially distributed, at most ten means."""
    if mean_ms <= 0:
        return 0
    return int(min(stream.expovariate(1.0), 10.0) * mean_ms * 1e6)


def gap_ns(stream: random.Random, rate_per_s: float) -> int:
    """Time from one arrival to the next: exponentially distributed, so that arrivals are a Poisson process."""
    return int(stream.expovariate(rate_per_s) * 1e9)
