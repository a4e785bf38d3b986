"""Broken on purpose: only its holder can end the lock, and holders die."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Strategy, Unavailable

RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
POLLS, POLL_S = 15, 0.02


class LockWithoutALease(Strategy):
    """Released in a finally, which a killed process does not reach."""

    name = "lock_without_a_lease"
    summary = "a Redis lock (SET NX) without an expiry around the guarded transaction"

    async def buy(self, purchase: Purchase) -> Result:
        key, owner = f"lock_without_a_lease:{purchase.sale.sale_id}:{purchase.sku}", uuid4().hex
        if not await self._acquire(key, owner):
            return Unavailable("the lock is busy", no_effect=True, retry_after_s=0.1)
        try:
            await self.resources.reach("after_hold")
            return await self.resources.ledger.commit(purchase)
        finally:
            await self.resources.redis.call(lambda redis: redis.eval(RELEASE, 1, key, owner))

    async def _acquire(self, key: str, owner: str) -> bool:
        """Whether the lock could be had within the limit."""
        for _ in range(POLLS):
            if await self.resources.redis.call(lambda redis: redis.set(key, owner, nx=True)):  # the mistake: no PX
                return True
            await asyncio.sleep(POLL_S)
        return False
