"""Keeps the counters that a worker has lately used true: reaps, seeds what is missing or owed, compares at rest.

Every worker tends what it has touched, so the holds of one that died are reaped by the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from target_app.cache.single_flight import SingleFlight
from target_app.strategies.protocol import DatabaseAwayError, RedisAwayError, Resources, Sale
from target_app.strategies.redis_lua.counter import SkuCounter, State

ROUND_S = 0.25  # between two rounds, and so between two seeds of a counter that is merely stale


@dataclass(slots=True)
class Tended:
    """One SKU that this worker looks after. ``owed`` names the last reason why a seed is owed; None if none is."""

    sale: Sale
    sku: str
    counter: SkuCounter
    used_s: float = field(default_factory=time.monotonic)
    owed: object | None = None
    compared: bool = False  # with Postgres, since it was last used

    def owe(self) -> None:
        """Something was sold, or may have been, of which the counter has not heard."""
        self.owed = object()
        self.compared = False


class Keeper:
    """One worker's counters, and the background task that tends them."""

    def __init__(self, resources: Resources, clock: Callable[[], float] = time.monotonic) -> None:
        self._resources = resources
        self._clock = clock
        self._tended: dict[tuple[str, str], Tended] = {}
        self._seeding: SingleFlight[tuple[str, str], bool] = SingleFlight()
        self._task: asyncio.Task[None] | None = None

    def tend(self, sale: Sale, sku: str) -> Tended:
        """The SKU, looked after from now on."""
        name = (str(sale.sale_id), sku)
        tended = self._tended.get(name)
        if tended is None:
            tended = self._tended[name] = Tended(sale, sku, SkuCounter(self._resources, sale.sale_id, sku))
        tended.used_s = self._clock()
        tended.compared = False
        if self._task is None:
            self._task = asyncio.create_task(self._keep())
        return tended

    async def seed(self, tended: Tended) -> bool:
        """Set the counter to what Postgres has, once for all who ask at the same time; False if that failed.

        The epoch is read before Postgres, never after. The debt is cleared only by the very seed that was applied, and
        only if nothing came to be owed since before its look.
        """
        return await self._seeding.run((str(tended.sale.sale_id), tended.sku), lambda: self._seed(tended))

    async def compare(self, tended: Tended) -> bool:
        """Seed the counter if it differs from Postgres, whatever it says of itself; False if that can't be told."""
        try:
            seen = await tended.counter.look(reap=True)
            if seen.avail is not None and not seen.stale and seen.held > 0:
                return False
            (row,) = await self._resources.ledger.stock_rows(tended.sale, [tended.sku])
            if seen.avail == row.remaining and not seen.stale and tended.owed is None:
                return True
            return await self.seed(tended)
        except (RedisAwayError, DatabaseAwayError):
            return False

    async def close(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._seeding.close()

    async def _seed(self, tended: Tended) -> bool:
        owed = tended.owed
        try:
            seen = await tended.counter.look()
            (row,) = await self._resources.ledger.stock_rows(tended.sale, [tended.sku])
            applied = await tended.counter.seed(seen, row.remaining)
        except (RedisAwayError, DatabaseAwayError):
            return False
        if applied and tended.owed is owed:
            tended.owed = None
        return applied

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(ROUND_S)
            if not self._resources.redis.available:
                continue
            for name, tended in list(self._tended.items()):
                if not await self._tend_once(tended):
                    break
                if tended.compared:
                    del self._tended[name]

    async def _tend_once(self, tended: Tended) -> bool:
        """One counter, one round; False if Redis is away, so that the rest can wait."""
        try:
            state: State = await tended.counter.look(reap=True)
        except RedisAwayError:
            return False
        if state.avail is None or state.stale or tended.owed is not None:
            await self.seed(tended)
        elif self._clock() - tended.used_s > self._resources.limits.commit_s and state.held == 0:
            used_s = tended.used_s
            agrees = await self.compare(tended)
            tended.compared = agrees and tended.used_s == used_s
        return True
