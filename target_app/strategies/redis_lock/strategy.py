"""A Redis lock with a lease and a fencing token around the guarded transaction.

The lock sheds load from the row lock; it is not what makes the sale safe. Fencing after Kleppmann, "How to do
distributed locking", 2016: Postgres refuses a token that is not greater than the last that has written.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from target_app.cache.script import Script
from target_app.strategies.aftermath import Aftermath
from target_app.strategies.protocol import (
    DatabaseAwayError,
    Fenced,
    Purchase,
    RedisAwayError,
    Resources,
    Result,
    Strategy,
    Unavailable,
)

ACQUIRE = Script.beside(__file__, "acquire.lua")
RAISE = Script.beside(__file__, "raise.lua")
RELEASE = Script.beside(__file__, "release.lua")
BUSY, MISSING = -1, -2


@dataclass(frozen=True, slots=True)
class _Keys:
    lock: str
    token: str
    wake: str

    @classmethod
    def of(cls, purchase: Purchase) -> _Keys:
        prefix = f"redis_lock:{purchase.sale.sale_id}"
        return cls(*(f"{prefix}:{kind}:{purchase.sku}" for kind in ("lock", "token", "wake")))


@dataclass(slots=True)
class _Grip:
    """What a request knows of its own lock."""

    owner: str
    sent_s: float | None = None  # when the first acquire was sent: from then on the lock may be ours


class Turns:
    """Buyers of one SKU in one worker stand in line here, so that only the first of them asks Redis."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, name: str, limit_s: float) -> AsyncIterator[bool]:
        """True when it is one's turn; False if it did not come within the limit."""
        line, length = self._lines.get(name, (asyncio.Lock(), 0))
        self._lines[name] = (line, length + 1)
        try:
            try:
                async with asyncio.timeout(limit_s):
                    await line.acquire()
            except TimeoutError:
                yield False
                return
            try:
                yield True
            finally:
                line.release()
        finally:
            line, length = self._lines[name]
            if length > 1:
                self._lines[name] = (line, length - 1)
            else:
                del self._lines[name]


class RedisLock(Strategy):
    """Lock, check and write in Postgres, release in ``finally``; without the lock, the guarded path."""

    name = "redis_lock"
    summary = "Redis lock (SET NX PX, fencing token) around the Postgres transaction; row lock as fallback"
    declared_keys = ("redis_lock:{sale_id}:token:{sku}",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._turns = Turns()
        self._aftermath = Aftermath()
        self._lease_ms = round(resources.limits.lock_lease_s * 1000)

    async def buy(self, purchase: Purchase) -> Result:
        result = None
        if self.resources.redis.available:
            result = await self._buy_in_turn(purchase)
        return result or await self.resources.ledger.commit(purchase)

    async def close(self) -> None:
        await self._aftermath.close()

    async def _buy_in_turn(self, purchase: Purchase) -> Result | None:
        """None if the lock could not be had: the guarded path is to be taken."""
        give_up_s = time.monotonic() + self.resources.limits.wait_s
        keys = _Keys.of(purchase)
        async with self._turns.turn(keys.lock, self.resources.limits.wait_s) as came:
            if not came:
                return None
            grip = _Grip(secrets.token_hex(12))
            try:
                return await self._buy_by_lock(purchase, keys, grip, give_up_s)
            except RedisAwayError:
                return None
            except DatabaseAwayError as error:  # only while reading the fence: nothing was written
                return Unavailable(str(error), no_effect=True)
            finally:
                if grip.sent_s is not None:
                    await self._aftermath.see_to(self._release(keys, grip))

    async def _buy_by_lock(self, purchase: Purchase, keys: _Keys, grip: _Grip, give_up_s: float) -> Result | None:
        token = await self._wait_for_lock(keys, grip, give_up_s)
        if token == MISSING:
            (row,) = await self.resources.ledger.stock_rows(purchase.sale, [purchase.sku])
            token = await self._raise_counter(keys, grip, row.fence)
        for last in (False, True):
            if token < 0 or not self._lease_suffices(grip):
                return None
            result = await self.resources.ledger.commit_fenced(purchase, token)
            if not isinstance(result, Fenced):
                return result
            if not last:
                token = await self._raise_counter(keys, grip, result.stored)
        return None

    async def _wait_for_lock(self, keys: _Keys, grip: _Grip, give_up_s: float) -> int:
        """The token, BUSY when the time is up, or MISSING."""
        while True:
            grip.sent_s = time.monotonic()
            token, left_ms = await ACQUIRE.run(
                self.resources.redis, (keys.lock, keys.token), (grip.owner, self._lease_ms)
            )
            wait_s = min(give_up_s - time.monotonic(), max(left_ms, 1) / 1000)
            if token != BUSY or wait_s <= 0:
                return int(token)
            await self._be_woken(keys.wake, wait_s)

    async def _be_woken(self, wake: str, limit_s: float) -> None:
        """Wait for a release, or for the end of the lease: a holder that died wakes nobody."""

        async def command(client: Any) -> Any:
            return await client.blpop([wake], timeout=max(limit_s, 0.001))

        await self.resources.redis.call(command, extra_s=limit_s)

    async def _raise_counter(self, keys: _Keys, grip: _Grip, fence: int) -> int:
        grip.sent_s = time.monotonic()
        retention_ms = round(self.resources.limits.retention_s * 1000)
        token, _ = await RAISE.run(
            self.resources.redis, (keys.lock, keys.token), (grip.owner, self._lease_ms, fence, retention_ms)
        )
        return int(token)

    def _lease_suffices(self, grip: _Grip) -> bool:
        """Whether the lock outlives the longest transaction that could begin now."""
        limits = self.resources.limits
        assert grip.sent_s is not None
        return grip.sent_s + limits.lock_lease_s - time.monotonic() >= limits.commit_s

    async def _release(self, keys: _Keys, grip: _Grip) -> None:
        """Whatever comes of it, the answer to the buyer stands: the lease ends a lock that could not be released."""
        try:
            await RELEASE.run(self.resources.redis, (keys.lock, keys.wake), (grip.owner, self._lease_ms))
        except RedisAwayError:
            return
