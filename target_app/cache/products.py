"""Cache-aside product reads. Freshness is governed by the TTL; a purchase is never decided on what is read here.

While Redis can't keep what was read, each worker does, for the same TTL: however many read, Postgres is asked once per
product, worker and TTL.

Early refresh is XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention",
VLDB 2015: a reader refreshes ahead of expiry with a probability that grows as expiry nears.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from uuid import UUID

from cachetools import TTLCache

from target_app.cache.own_copies import OLDEST, Copy, OwnCopies
from target_app.cache.script import Script
from target_app.cache.single_flight import SingleFlight
from target_app.ledger.postgres import PostgresLedger, Product
from target_app.settings import Settings
from target_app.strategies.protocol import DatabaseAwayError, GuardedRedis, RedisAwayError

READ = Script.beside(__file__, "read.lua")
WRITE = Script.beside(__file__, "write.lua")
TOMBSTONE, NOTHING = "", "-"
ASK_AGAIN_S = 1.0  # after Postgres gave no answer: until then nobody waits who has a stale value in hand
_MOST_UNANSWERED = 1024


class CacheResult(StrEnum):
    """What the cache did for a read: the value of X-Cache."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    NEGATIVE = "negative"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Reading:
    """A product, or None if there is none, with what the cache did and how old the value is."""

    product: Product | None
    result: CacheResult
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Item:
    version: int
    body: str
    age_s: float
    delta_s: float  # how long the value took to compute
    fresh_s: float  # until it expires; negative: stale

    def reading(self) -> Reading:
        if self.body == NOTHING:
            return Reading(None, CacheResult.NEGATIVE, self.age_s)
        result = CacheResult.HIT if self.fresh_s > 0 else CacheResult.STALE
        return Reading(Product(**json.loads(self.body)), result, self.age_s)


class ProductCache:
    """One worker's product reads. ``rng`` decides jitter and early refreshes."""

    def __init__(
        self, redis: GuardedRedis, ledger: PostgresLedger, settings: Settings, rng: random.Random | None = None
    ) -> None:
        self._redis = redis
        self._ledger = ledger
        self._settings = settings
        self._rng = rng or random.Random()
        self._flights: SingleFlight[str, Reading] = SingleFlight(shared=settings.cache_single_flight)
        self._database_reads = asyncio.Semaphore(settings.cache_bypass_reads)
        self._copies = OwnCopies(settings.cache_own_copies)
        self._unanswered: TTLCache[str, None] = TTLCache(_MOST_UNANSWERED, ASK_AGAIN_S)  # by the database, just now
        self.recomputes = 0

    @property
    def most_concurrent_recomputes(self) -> int:
        """The most recomputes of one key at once in this worker."""
        return self._flights.most_at_once

    async def read(self, sale_id: UUID, sku: str) -> Reading:
        """One product; DatabaseAwayError if neither cache nor database can tell."""
        key = item_key(sale_id, sku)
        try:
            item = await self._get(key)
        except RedisAwayError:
            if (copy := self._copies.find(key)) is not None:
                return self._remembered(copy)
            return await self._flights.run(key, lambda: self._bypass(key, sale_id, sku))
        copy = self._copies.find(key, at_least=item.version if item is not None else OLDEST)
        if item is not None and item.body == TOMBSTONE:
            item = None
        if item is not None and not self._refresh_now(item):
            return item.reading()
        if copy is not None:  # Redis is back without it, or takes nothing in
            return self._remembered(copy)
        if item is not None and key in self._unanswered:
            return item.reading()
        try:
            return await self._flights.run(key, lambda: self._recompute(key, sale_id, sku))
        except DatabaseAwayError:
            if item is None:
                raise
            self._unanswered[key] = None
            return item.reading()

    async def invalidate(self, sale_id: UUID, sku: str, version: int) -> None:
        """Make sure that nothing older than ``version`` is read or written from now on.

        A tombstone with the version stands where the value was: after a mere DEL a slow reader could put the old value
        back. When Redis is away this worker has its own; of the others' copies the TTL does the same later.
        """
        key, ttl_s = item_key(sale_id, sku), self._settings.cache_tombstone_ttl_s
        self._copies.bury(key, version, ttl_s)
        ttl_ms = round(ttl_s * 1000)
        try:
            await self._put(key, version, TOMBSTONE, 0, ttl_ms, ttl_ms)
        except RedisAwayError:
            return

    async def close(self) -> None:
        """End the computations that run."""
        await self._flights.close()

    def _refresh_now(self, item: _Item) -> bool:
        early_s = -item.delta_s * self._settings.cache_early_beta * math.log(1 - self._rng.random())
        return early_s >= item.fresh_s

    async def _bypass(self, key: str, sale_id: UUID, sku: str) -> Reading:
        product = await self._from_database(sale_id, sku)
        self._copies.keep(key, product, self._ttl_s(product))
        return Reading(product, CacheResult.BYPASS)

    async def _recompute(self, key: str, sale_id: UUID, sku: str) -> Reading:
        start = time.perf_counter()
        product = await self._from_database(sale_id, sku)
        read = time.perf_counter()
        delta_ms = math.ceil((read - start) * 1000)
        ttl_s = self._ttl_s(product)
        fresh_ms = max(1, round(ttl_s * 1000))
        body, version = (json.dumps(asdict(product)), product.version) if product else (NOTHING, OLDEST)
        kept_ms = fresh_ms + (round(self._settings.cache_stale_s * 1000) if product else 0)
        try:
            await self._put(key, version, body, delta_ms, fresh_ms, kept_ms)
        except RedisAwayError:
            self._copies.keep(key, product, ttl_s, age_s=time.perf_counter() - read)
            return Reading(product, CacheResult.BYPASS)
        return Reading(product, CacheResult.MISS if product else CacheResult.NEGATIVE)

    def _ttl_s(self, product: Product | None) -> float:
        settings = self._settings
        base_s = settings.cache_ttl_s if product else settings.cache_negative_ttl_s
        return base_s * self._rng.uniform(1 - settings.cache_jitter, 1 + settings.cache_jitter)

    def _remembered(self, copy: Copy) -> Reading:
        result = CacheResult.HIT if copy.product is not None else CacheResult.NEGATIVE
        return Reading(copy.product, result, self._copies.age_s(copy))

    async def _from_database(self, sale_id: UUID, sku: str) -> Product | None:
        self.recomputes += 1
        try:
            async with asyncio.timeout(self._settings.database_wait_s), self._database_reads:
                return await self._ledger.product(sale_id, sku)
        except TimeoutError:
            raise DatabaseAwayError("too many product reads wait for the database") from None

    async def _get(self, key: str) -> _Item | None:
        found = await READ.run(self._redis, [key])
        if not found:
            return None
        version, body, age_ms, delta_ms, fresh_ms = found
        return _Item(version, body.decode(), max(age_ms, 0) / 1000, delta_ms / 1000, fresh_ms / 1000)

    async def _put(self, key: str, version: int, body: str, delta_ms: int, fresh_ms: int, ttl_ms: int) -> None:
        await WRITE.run(self._redis, [key], [version, body, delta_ms, fresh_ms, ttl_ms])


def item_key(sale_id: UUID, sku: str) -> str:
    """Where a product is cached."""
    return f"product:{sale_id}:{sku}"
