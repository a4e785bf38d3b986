"""Broken on purpose: the fence lets its equal pass, and a token counter that was lost draws tokens twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from target_app.strategies.protocol import Purchase, RedisAwayError, Result, Sold, SoldOut, Strategy, Unavailable

FIND = "SELECT order_id, remaining FROM orders WHERE sale_id = $1 AND key = $2"
CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = """
    UPDATE stock SET remaining = $3, fence = $4
    WHERE sale_id = $1 AND sku = $2 AND fence <= $4 RETURNING fence"""  # the mistake: fence < $4
LOCK = """
if redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
return redis.call('INCR', KEYS[2])
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
LEASE_MS, WORK_S = 3000, 0.08
POLLS, POLL_S = 100, 0.01
LOST = -1


class FenceAcceptsItsEqual(Strategy):
    """A lost counter goes on from the stored fence: with the token that a holder who has not yet written has, too."""

    name = "fence_accepts_its_equal"
    summary = "a Redis lock with fencing tokens around read, compute and write; a token may write if fence <= token"
    declared_keys = ("fence_accepts_its_equal:*",)

    async def buy(self, purchase: Purchase) -> Result:
        lock, owner = f"fence_accepts_its_equal:{purchase.sale.sale_id}:{purchase.sku}", uuid4().hex
        try:
            token = await self._acquire(purchase, lock, owner)
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=True)
        if not token:
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            async with self.resources.database.connection() as connection:
                return await self._sell(connection, purchase, token)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, lock, owner))

    async def _sell(self, connection: Any, purchase: Purchase, token: int) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        order = await connection.fetchrow(FIND, sale_id, purchase.key)
        if order is not None:
            return Sold(order["order_id"], order["remaining"], None, replayed=True)
        left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
        if left < 0:
            return SoldOut()
        await asyncio.sleep(WORK_S)
        async with connection.transaction():
            if await connection.fetchval(WRITE, sale_id, sku, left, token) is None:
                return Unavailable("a later holder has written", no_effect=True, retry_after_s=0.1)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, fence=token)
        return Sold(order_id, left, None)

    async def _acquire(self, purchase: Purchase, lock: str, owner: str) -> int:
        """The token; 0 if the lock could not be had within the limit."""
        tokens = f"{lock}:token"
        for _ in range(POLLS):
            token = await self.resources.redis.call(lambda redis: redis.eval(LOCK, 2, lock, tokens, owner, LEASE_MS))
            if token == LOST:
                await self._go_on(purchase, tokens)
            elif token:
                return int(token)
            else:
                await asyncio.sleep(POLL_S)
        return 0

    async def _go_on(self, purchase: Purchase, tokens: str) -> None:
        """The counter is not there: begin with the token that has written last."""
        (row,) = await self.resources.ledger.stock_rows(purchase.sale, [purchase.sku])
        await self.resources.redis.call(lambda redis: redis.set(tokens, row.fence, nx=True, ex=86400))
