"""Broken on purpose: the transaction was refused, the sale goes on."""

from __future__ import annotations

import contextlib

import redis.asyncio as redis_asyncio
from redis.exceptions import WatchError

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sale, Sold, SoldOut, Strategy

KEY = "aborted_exec_ignored:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"


class AbortedExecIgnored(Strategy):
    """Optimistic locking in Redis, with the error swallowed."""

    name = "aborted_exec_ignored"
    summary = "WATCH, GET, MULTI, DECRBY, EXEC; a WatchError is ignored"
    counter = CounterKey(KEY)
    declared_keys = ("aborted_exec_ignored:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        if not await self.resources.redis.call(lambda redis: _take(redis, key, purchase.quantity)):
            return SoldOut()
        return await self._book(purchase)

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)


async def _take(redis: redis_asyncio.Redis, key: str, quantity: int) -> bool:
    async with redis.pipeline(transaction=True) as pipeline:
        await pipeline.watch(key)
        if int(await pipeline.get(key) or 0) < quantity:
            return False
        pipeline.multi()  # type: ignore[no-untyped-call]
        pipeline.decrby(key, quantity)
        with contextlib.suppress(WatchError):  # the mistake: nothing was taken
            await pipeline.execute()
    return True
