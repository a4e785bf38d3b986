"""Broken on purpose: sold out is remembered, though stock may come back."""

from __future__ import annotations

from uuid import uuid4

import asyncpg

from target_app.strategies.protocol import CounterKey, Purchase, Resources, Result, Sale, Sold, SoldOut, Strategy

KEY = "sold_out_remembered:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
FIND = "SELECT order_id FROM orders WHERE sale_id = $1 AND key = $2 AND guarded"
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""


class SoldOutRemembered(Strategy):
    """A flag that is set and never cleared."""

    name = "sold_out_remembered"
    summary = "DECRBY behind a sold-out flag in each worker"
    counter = CounterKey(KEY)
    declared_keys = ("sold_out_remembered:*",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._sold_out: set[str] = set()

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key, quantity = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku), purchase.quantity
        if key in self._sold_out:
            return SoldOut()
        if await self.resources.redis.call(lambda redis: redis.decrby(key, quantity)) < 0:
            await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
            self._sold_out.add(key)
            return SoldOut()
        sold = await self._book(purchase)
        if sold is not None:
            return sold
        await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
        return await self._replay(purchase)

    async def _book(self, purchase: Purchase) -> Sold | None:
        """The order; None if its key has one already."""
        sale_id, order_id = purchase.sale.sale_id, uuid4()
        order = (order_id, sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection:
            try:
                async with connection.transaction():
                    await connection.execute(DECREMENT, sale_id, purchase.sku, purchase.quantity)
                    await connection.execute(INSERT, *order)
            except asyncpg.UniqueViolationError:
                return None
        return Sold(order_id, None, None)

    async def _replay(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection:
            return Sold(await connection.fetchval(FIND, purchase.sale.sale_id, purchase.key), None, None, replayed=True)
