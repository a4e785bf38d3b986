"""Broken on purpose: a fencing token that fences nothing."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy, Unavailable

FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1, fence = $4
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
LEASE_MS = 1000
POLLS, POLL_S = 15, 0.02


class TokenNotCompared(Strategy):
    """The stock itself is safe: the update has a condition of its own. The order of writers is not."""

    name = "token_not_compared"
    summary = "a Redis lock with a lease; the fencing token is written, whatever token was written before"
    declared_keys = ("token_not_compared:*",)

    async def buy(self, purchase: Purchase) -> Result:
        key, owner = f"token_not_compared:{purchase.sale.sale_id}:{purchase.sku}", uuid4().hex
        if not await self._acquire(key, owner):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            fence = await self.resources.redis.call(lambda redis: redis.incr(f"{key}:token"))
            await self.resources.redis.call(lambda redis: redis.expire(f"{key}:token", 86400))
            await self.resources.reach("after_hold")
            return await self._sell(purchase, fence)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, key, owner))

    async def _sell(self, purchase: Purchase, fence: int) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        async with self.resources.database.connection() as connection, connection.transaction():
            order = await connection.fetchrow(FIND, sale_id, purchase.key)
            if order is not None:
                return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
            row = await connection.fetchrow(TAKE, sale_id, sku, purchase.quantity, fence)  # the mistake
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
