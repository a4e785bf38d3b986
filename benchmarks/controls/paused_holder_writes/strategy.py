"""Broken on purpose: after a pause longer than the lease, what was read under the lock is written without it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

FIND = "SELECT order_id, remaining FROM orders WHERE sale_id = $1 AND key = $2"
CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = "UPDATE stock SET remaining = $3 WHERE sale_id = $1 AND sku = $2"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
LEASE_MS = 1000
POLLS, POLL_S = 15, 0.02


class PausedHolderWrites(Strategy):
    """Right for as long as nobody is slower than the lease."""

    name = "paused_holder_writes"
    summary = "a Redis lock with a lease around read, compute and write; no fencing token"

    async def buy(self, purchase: Purchase) -> Result:
        key, owner = f"paused_holder_writes:{purchase.sale.sale_id}:{purchase.sku}", uuid4().hex
        if not await self._acquire(key, owner):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            async with self.resources.database.connection() as connection:
                return await self._sell(connection, purchase)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, key, owner))

    async def _sell(self, connection: Any, purchase: Purchase) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        order = await connection.fetchrow(FIND, sale_id, purchase.key)
        if order is not None:
            return Sold(order["order_id"], order["remaining"], None, replayed=True)
        left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
        if left < 0:
            return SoldOut()
        await self.resources.reach("after_hold")
        async with connection.transaction():
            await connection.execute(WRITE, sale_id, sku, left)  # the mistake: whoever holds the lock by now
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)

    async def _acquire(self, key: str, owner: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, owner, nx=True, px=LEASE_MS)):
                return True
            await asyncio.sleep(POLL_S)
        return False
