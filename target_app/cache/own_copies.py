"""What a worker remembers of products while Redis can't: set if newer, each for a TTL, as there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TLRUCache

from target_app.ledger.postgres import Product

OLDEST = -1  # the version of what does not exist, and of nothing at all


@dataclass(frozen=True, slots=True)
class Copy:
    """What Postgres said, or a tombstone: that nothing older than ``version`` may be kept or found."""

    product: Product | None
    version: int
    read_s: float
    expires_s: float
    tombstone: bool = False


class OwnCopies:
    """So many copies at most, of which the one unread for longest makes room; none if ``most`` is 0.

    ``clock``: seconds, as of time.monotonic.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._copies: TLRUCache[str, Copy] = TLRUCache(most, ttu=lambda _, copy, __: copy.expires_s, timer=clock)

    def keep(self, key: str, product: Product | None, ttl_s: float, age_s: float = 0.0) -> None:
        """Remember what Postgres said so long ago, unless something newer stands there."""
        read_s = self._clock() - age_s
        version = product.version if product is not None else OLDEST
        standing = self._copies.get(key)
        if standing is None or standing.version <= version:
            self._put(key, Copy(product, version, read_s, read_s + ttl_s))

    def bury(self, key: str, version: int, ttl_s: float) -> None:
        """Forget what is older than ``version``, and keep nothing older for so long."""
        standing = self._copies.get(key)
        if standing is None or standing.version < version:
            now_s = self._clock()
            self._put(key, Copy(None, version, now_s, now_s + ttl_s, tombstone=True))

    def find(self, key: str, at_least: int = OLDEST) -> Copy | None:
        """What is remembered, unless it is older than the version that is known to exist; that is forgotten."""
        copy = self._copies.get(key)
        if copy is None or copy.tombstone:
            return None
        if copy.version < at_least:
            self._copies.pop(key, None)  # it may have expired just now
            return None
        return copy

    def age_s(self, copy: Copy) -> float:
        """Since Postgres said so."""
        return self._clock() - copy.read_s

    def _put(self, key: str, copy: Copy) -> None:
        if self._most:
            self._copies[key] = copy
