"""Broken on purpose: the counter is asked, and then decremented without a floor."""

from __future__ import annotations

import asyncio

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sale, Sold, SoldOut, Strategy

KEY = "decr_without_floor:{sale_id}:{sku}"
PAUSE_S = 0.02
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"


class DecrWithoutFloor(Strategy):
    """Two commands where one script is needed."""

    name = "decr_without_floor"
    summary = "GET, compare, DECRBY"
    counter = CounterKey(KEY)
    declared_keys = ("decr_without_floor:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        if int(await self.resources.redis.call(lambda redis: redis.get(key))) < purchase.quantity:
            return SoldOut()
        await asyncio.sleep(PAUSE_S)
        await self.resources.redis.call(lambda redis: redis.decrby(key, purchase.quantity))
        return await self._book(purchase)

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
