"""Broken on purpose: one connection's watches are everybody's."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as redis_asyncio

from target_app.strategies.protocol import CounterKey, Purchase, Resources, Result, Sale, Sold, SoldOut, Strategy

KEY = "watch_on_shared_connection:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"


class WatchOnSharedConnection(Strategy):
    """Every command is atomic; the conversation is not."""

    name = "watch_on_shared_connection"
    summary = "WATCH, GET, MULTI, SET, EXEC on one connection a worker"
    counter = CounterKey(KEY)
    declared_keys = ("watch_on_shared_connection:*",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._turn = asyncio.Lock()
        self._shared: Any = None

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        while True:
            taken = await self.resources.redis.call(lambda redis: self._take(redis, key, purchase.quantity))
            if taken is not None:
                return await self._book(purchase) if taken else SoldOut()

    async def _take(self, redis: redis_asyncio.Redis, key: str, quantity: int) -> bool | None:
        """Whether the units were taken; None if the count had changed and it must be tried again."""
        await self._ask(redis, ("WATCH", key))
        (count,) = await self._ask(redis, ("GET", key))
        left = int(count) - quantity
        if left < 0:
            return False
        *_, done = await self._ask(redis, ("MULTI",), ("SET", key, left, "EX", 86400), ("EXEC",))
        return True if done is not None else None

    async def _ask(self, redis: redis_asyncio.Redis, *commands: tuple[Any, ...]) -> list[Any]:
        """Send commands and read their answers, undisturbed; what comes between two calls is anybody's."""
        async with self._turn:
            if self._shared is None:
                pool: Any = redis.connection_pool  # its methods have no types
                self._shared = await pool.get_connection()
            for command in commands:
                await self._shared.send_command(*command)
            return [await self._shared.read_response() for _ in commands]

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
