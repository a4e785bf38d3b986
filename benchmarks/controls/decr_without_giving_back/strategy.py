"""Broken on purpose: a refused decrement is not taken back."""

from __future__ import annotations

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sale, Sold, SoldOut, Strategy

KEY = "decr_without_giving_back:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"


class DecrWithoutGivingBack(Strategy):
    """DECRBY decides; a refusal leaves its mark."""

    name = "decr_without_giving_back"
    summary = "DECRBY; below zero means sold out"
    counter = CounterKey(KEY)
    declared_keys = ("decr_without_giving_back:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        if await self.resources.redis.call(lambda redis: redis.decrby(key, purchase.quantity)) < 0:
            return SoldOut()
        return await self._book(purchase)

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
