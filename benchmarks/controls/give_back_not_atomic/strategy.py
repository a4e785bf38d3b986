"""Broken on purpose: between taking and giving back, others are refused."""

from __future__ import annotations

import asyncio

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sale, Sold, SoldOut, Strategy

KEY = "give_back_not_atomic:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
PAUSE_S = 0.03


class GiveBackNotAtomic(Strategy):
    """Right for units, wrong for quantities."""

    name = "give_back_not_atomic"
    summary = "DECRBY; below zero means INCRBY and sold out"
    counter = CounterKey(KEY)
    declared_keys = ("give_back_not_atomic:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key, quantity = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku), purchase.quantity
        if await self.resources.redis.call(lambda redis: redis.decrby(key, quantity)) < 0:
            await asyncio.sleep(PAUSE_S)
            await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
            return SoldOut()
        return await self._book(purchase)

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
