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

from cachetools import TLRUCache

from target_app.cache.script import Script
from target_app.cache.single_flight import SingleFlight
from target_app.ledger.postgres import PostgresLedger, Product
from target_app.settings import Settings
from target_app.strategies.protocol import DatabaseAwayError, GuardedRedis, RedisAwayError

READ = Script.beside(__file__, "read.lua")
WRITE = Script.beside(__file__, "write.lua")
TOMBSTONE, NOTHING = "", "-"


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

    def reading(self, result: CacheResult) -> Reading:
        if self.body == NOTHING:
            return Reading(None, CacheResult.NEGATIVE, self.age_s)
        return Reading(Product(**json.loads(self.body)), result, self.age_s)


@dataclass(frozen=True, slots=True)
class _Copy:
    product: Product | None
    read_s: float
    ttl_s: float

    def reading(self) -> Reading:
        return Reading(self.product, CacheResult.BYPASS, time.monotonic() - self.read_s)


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
        self._copies: TLRUCache[str, _Copy] = TLRUCache(
            settings.cache_own_copies, ttu=lambda _, copy, __: copy.read_s + copy.ttl_s, timer=time.monotonic
        )
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
            return self._own_copy(key) or await self._flights.run(key, lambda: self._bypass(key, sale_id, sku))
        if item is not None and item.body != TOMBSTONE and not self._refresh_now(item):
            return item.reading(CacheResult.HIT)
        if item is None and (copy := self._own_copy(key)) is not None:
            return copy  # Redis is back without it, or has no room for it
        try:
            return await self._flights.run(key, lambda: self._recompute(key, sale_id, sku))
        except DatabaseAwayError:
            if item is None or item.body == TOMBSTONE:
                raise
            return item.reading(CacheResult.STALE)

    async def invalidate(self, sale_id: UUID, sku: str, version: int) -> None:
        """Make sure that nothing older than ``version`` is read or written from now on.

        A tombstone with the version stands where the value was: after a mere DEL a slow reader could put the old value
        back. When Redis is away the TTL does the same later.
        """
        self._copies.pop(key := item_key(sale_id, sku), None)
        ttl_ms = round(self._settings.cache_tombstone_ttl_s * 1000)
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
        return self._keep(key, _Copy(product, time.monotonic(), self._ttl_s(product)))

    async def _recompute(self, key: str, sale_id: UUID, sku: str) -> Reading:
        start = time.perf_counter()
        product = await self._from_database(sale_id, sku)
        delta_ms = math.ceil((time.perf_counter() - start) * 1000)
        read_s, ttl_s = time.monotonic(), self._ttl_s(product)
        fresh_ms = max(1, round(ttl_s * 1000))
        body, version = (json.dumps(asdict(product)), product.version) if product else (NOTHING, -1)
        kept_ms = fresh_ms + (round(self._settings.cache_stale_s * 1000) if product else 0)
        try:
            await self._put(key, version, body, delta_ms, fresh_ms, kept_ms)
        except RedisAwayError:
            return self._keep(key, _Copy(product, read_s, ttl_s))
        self._copies.pop(key, None)
        return Reading(product, CacheResult.MISS if product else CacheResult.NEGATIVE)

    def _ttl_s(self, product: Product | None) -> float:
        settings = self._settings
        base_s = settings.cache_ttl_s if product else settings.cache_negative_ttl_s
        return base_s * self._rng.uniform(1 - settings.cache_jitter, 1 + settings.cache_jitter)

    def _keep(self, key: str, copy: _Copy) -> Reading:
        if self._settings.cache_own_copies:
            self._copies[key] = copy
        return copy.reading()

    def _own_copy(self, key: str) -> Reading | None:
        copy = self._copies.get(key)
        return copy.reading() if copy is not None else None

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
