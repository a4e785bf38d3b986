"""Broken on purpose: half of the purchase may be missing."""

from __future__ import annotations

import contextlib

import asyncpg

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sale, Sold, SoldOut, Strategy

KEY = "half_committed:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"


class HalfCommitted(Strategy):
    """Two transactions where one is needed."""

    name = "half_committed"
    summary = "DECRBY, then the order, then the stock row if it can be had at once"
    counter = CounterKey(KEY)
    declared_keys = ("half_committed:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, quantity = purchase.sale.sale_id, purchase.quantity
        key = KEY.format(sale_id=sale_id, sku=purchase.sku)
        if await self.resources.redis.call(lambda redis: redis.decrby(key, quantity)) < 0:
            await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
            return SoldOut()
        async with self.resources.database.connection() as connection:
            order_id = await self.resources.ledger.record(connection, purchase)
            with contextlib.suppress(asyncpg.LockNotAvailableError):  # the mistake
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = '5ms'")
                    await connection.execute(DECREMENT, sale_id, purchase.sku, quantity)
        return Sold(order_id, None, None)
