"""Broken on purpose: a holder writes after the lease has run out, and nothing stops it."""

from __future__ import annotations

import asyncio
import random
from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
LEASE_MS, PAUSE_S, PAUSE_SHARE = 20, 0.04, 0.1
POLLS, POLL_S = 100, 0.005


class LeaseTooShort(Strategy):
    """A token is drawn and recorded, and never compared."""

    name = "lease_too_short"
    summary = "a Redis lock with a short lease; the fencing token is recorded but not checked"

    async def buy(self, purchase: Purchase) -> Result:
        key, owner = f"lease_too_short:{purchase.sale.sale_id}:{purchase.sku}", uuid4().hex
        if not await self._acquire(key, owner):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            fence = await self.resources.redis.call(lambda redis: redis.incr(f"{key}:token"))
            await self.resources.redis.call(lambda redis: redis.expire(f"{key}:token", 86400))
            await asyncio.sleep(PAUSE_S if random.random() < PAUSE_SHARE else 0)
            return await self._sell(purchase, fence)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, key, owner))

    async def _sell(self, purchase: Purchase, fence: int) -> Result:
        async with self.resources.database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(TAKE, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            if row is None:
                return SoldOut()
            left, seq = row
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq, fence=fence)
        return Sold(order_id, left, seq)

    async def _acquire(self, key: str, owner: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, owner, nx=True, px=LEASE_MS)):
                return True
            await asyncio.sleep(POLL_S)
        return False
