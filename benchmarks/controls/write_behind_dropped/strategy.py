"""Broken on purpose: the answer comes before the order, and the order may not come."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import uuid4

from target_app.strategies.protocol import CounterKey, Purchase, Resources, Result, Sale, Sold, SoldOut, Strategy

KEY = "write_behind_dropped:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
ROOM = 4


class WriteBehindDropped(Strategy):
    """A queue that forgets."""

    name = "write_behind_dropped"
    summary = "DECRBY, and a bounded queue of orders that drops what does not fit"
    counter = CounterKey(KEY)
    declared_keys = ("write_behind_dropped:*",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._orders: asyncio.Queue[Purchase] = asyncio.Queue(ROOM)
        self._writer: asyncio.Task[None] | None = None

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key, quantity = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku), purchase.quantity
        if await self.resources.redis.call(lambda redis: redis.decrby(key, quantity)) < 0:
            await self.resources.redis.call(lambda redis: redis.incrby(key, quantity))
            return SoldOut()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        with contextlib.suppress(asyncio.QueueFull):  # the mistake
            self._orders.put_nowait(purchase)
        return Sold(uuid4(), None, None)

    async def _write(self) -> None:
        while True:
            await self._book(await self._orders.get())

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
