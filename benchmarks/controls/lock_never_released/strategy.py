"""Broken on purpose: the way out through an exception does not pass the unlock."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""
POLLS, POLL_S = 60, 0.005


class LockNeverReleased(Strategy):
    """Right until the first exception."""

    name = "lock_never_released"
    summary = "a Redis lock without a lease, released only when all went well"

    async def buy(self, purchase: Purchase) -> Result:
        key = f"lock_never_released:{purchase.sale.sale_id}:{purchase.sku}"
        if not await self._acquire(key):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        result = await self._sell(purchase)
        await self.resources.redis.call(lambda redis: redis.delete(key))
        return result

    async def _sell(self, purchase: Purchase) -> Result:
        sale_id, sku, order_id = purchase.sale.sale_id, purchase.sku, uuid4()
        order = (order_id, sale_id, sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection, connection.transaction():
            if await connection.fetchval(CHECK, sale_id, sku) < purchase.quantity:
                return SoldOut()
            await connection.execute(DECREMENT, sale_id, sku, purchase.quantity)
            await connection.execute(INSERT, *order)
        return Sold(order_id, None, None)

    async def _acquire(self, key: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, "locked", nx=True)):
                return True
            await asyncio.sleep(POLL_S)
        return False
