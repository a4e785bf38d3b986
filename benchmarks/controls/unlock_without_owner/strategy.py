"""Broken on purpose: DEL, whoever holds the lock by now."""

from __future__ import annotations

import asyncio
import random

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = "UPDATE stock SET remaining = $3 WHERE sale_id = $1 AND sku = $2"
LEASE_MS, PAUSE_S, PAUSE_SHARE = 30, 0.06, 0.05
POLLS, POLL_S = 100, 0.005


class UnlockWithoutOwner(Strategy):
    """SET NX PX to lock, DEL to unlock."""

    name = "unlock_without_owner"
    summary = "a Redis lock that is released with DEL"

    async def buy(self, purchase: Purchase) -> Result:
        key = f"unlock_without_owner:{purchase.sale.sale_id}:{purchase.sku}"
        if not await self._acquire(key, "locked"):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            return await self._sell(purchase)
        finally:
            await self.resources.redis.call(lambda redis: redis.delete(key))

    async def _sell(self, purchase: Purchase) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        async with self.resources.database.connection() as connection:
            left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
            if left < 0:
                return SoldOut()
            await asyncio.sleep(PAUSE_S if random.random() < PAUSE_SHARE else 0)
            async with connection.transaction():
                await connection.execute(WRITE, sale_id, sku, left)
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)

    async def _acquire(self, key: str, owner: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, owner, nx=True, px=LEASE_MS)):
                return True
            await asyncio.sleep(POLL_S)
        return False
