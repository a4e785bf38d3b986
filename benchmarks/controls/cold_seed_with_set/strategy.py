"""Broken on purpose: the counter is loaded by whoever comes, over whatever was sold meanwhile."""

from __future__ import annotations

import asyncio

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sold, SoldOut, Strategy

KEY = "cold_seed_with_set:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
PAUSE_S = 0.01


class ColdSeedWithSet(Strategy):
    """Cache-aside, for a counter."""

    name = "cold_seed_with_set"
    summary = "a missing counter is read from Postgres and SET"
    counter = CounterKey(KEY)
    declared_keys = ("cold_seed_with_set:*",)

    async def buy(self, purchase: Purchase) -> Result:
        key, quantity = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku), purchase.quantity
        if not await self.resources.redis.call(lambda redis: redis.exists(key)):
            (row,) = await self.resources.ledger.stock_rows(purchase.sale, [purchase.sku])
            await asyncio.sleep(PAUSE_S)
            await self.resources.redis.call(lambda redis: redis.set(key, row.remaining, ex=86400))
        if await self.resources.redis.call(lambda redis: redis.decrby(key, quantity)) < 0:
            await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
            return SoldOut()
        return await self._book(purchase)

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
