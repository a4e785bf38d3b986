"""Broken on purpose: the lock is gone before the change is there."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = "UPDATE stock SET remaining = $3 WHERE sale_id = $1 AND sku = $2"
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
LEASE_MS, PAUSE_S = 3000, 0.002
POLLS, POLL_S = 100, 0.005


class ReleasedBeforeCommit(Strategy):
    """The lock's finally is inside the transaction."""

    name = "released_before_commit"
    summary = "a Redis lock that is released before the transaction commits"

    async def buy(self, purchase: Purchase) -> Result:
        async with self.resources.database.connection() as connection, connection.transaction():
            result = await self._locked(connection, purchase)
            await asyncio.sleep(PAUSE_S)
        return result

    async def _locked(self, connection: asyncpg.Connection, purchase: Purchase) -> Result:
        sale_id, sku, owner = purchase.sale.sale_id, purchase.sku, uuid4().hex
        key = f"released_before_commit:{sale_id}:{sku}"
        if not await self._acquire(key, owner):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
            if left < 0:
                return SoldOut()
            await connection.execute(WRITE, sale_id, sku, left)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
            return Sold(order_id, left, None)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, key, owner))

    async def _acquire(self, key: str, owner: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, owner, nx=True, px=LEASE_MS)):
                return True
            await asyncio.sleep(POLL_S)
        return False
