"""A Redis lock with a lease and a fencing token around the guarded transaction.

The lock sheds load from the row lock; it is not what makes the sale safe. Fencing after Kleppmann, "How to do
distributed locking", 2016: Postgres refuses a token that is not greater than the last that has written.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from target_app.cache.script import Script
from target_app.strategies.aftermath import Aftermath
from target_app.strategies.protocol import (
    DatabaseAwayError,
    Fenced,
    Purchase,
    RedisAwayError,
    Resources,
    Result,
    Sale,
    Strategy,
    Unavailable,
)
from target_app.strategies.redis_lock.line import Lines

ACQUIRE = Script.beside(__file__, "acquire.lua")
RAISE = Script.beside(__file__, "raise.lua")
RELEASE = Script.beside(__file__, "release.lua")
BUSY, MISSING = -1, -2

CHANNEL = "redis_lock:released"  # the name of each lock that is released
TOKEN_KEY = "redis_lock:{sale_id}:token:{sku}"
LOCK_KEY = "redis_lock:{sale_id}:lock:{sku}"
STRAY_ROUND_S = 0.25
STRAY_ROUNDS = 240  # of asking an absent Redis to release a lock that it may yet grant
STRAY_ANSWERS = 3  # that there is no such lock; then it is left to its lease


@dataclass(slots=True)
class _Grip:
    """What a request knows of its own lock."""

    lock: str
    token: str
    owner: str
    sent_s: float | None = None  # when the last acquire was sent: from the first one on the lock may be ours
    answered: bool = True  # whether the last one was


class RedisLock(Strategy):
    """Lock, check and write in Postgres, release in ``finally``; without the lock, the guarded path."""

    name = "redis_lock"
    summary = "Redis lock (SET NX PX, fencing token) around the Postgres transaction; row lock as fallback"
    declared_keys = (TOKEN_KEY,)
    lock_keys = (LOCK_KEY,)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._lines = Lines()
        self._waiting: dict[str, asyncio.Event] = {}  # by lock: whoever has the turn in this worker
        self._aftermath = Aftermath()
        self._listens = False
        self._lease_ms = round(resources.limits.lock_lease_s * 1000)
        self._retention_ms = round(resources.limits.retention_s * 1000)

    async def open(self, sale: Sale) -> None:
        """Begin the token counters, which a first buyer would else have to find missing."""
        for sku in sale.items:
            try:
                await self._begin_counter(_key(TOKEN_KEY, sale.sale_id, sku))
            except RedisAwayError:
                return

    async def buy(self, purchase: Purchase) -> Result:
        result = None
        if self.resources.redis.available:
            result = await self._buy_in_turn(purchase)
        return result or await self.resources.ledger.commit(purchase)

    async def close(self) -> None:
        await self._aftermath.close()

    async def _begin_counter(self, token: str) -> None:
        async def command(client: Any) -> Any:
            return await client.set(token, 0, nx=True, px=self._retention_ms)

        await self.resources.redis.call(command)

    async def _buy_in_turn(self, purchase: Purchase) -> Result | None:
        """None if the lock could not be had: the guarded path is to be taken."""
        self._listen()
        give_up_s = time.monotonic() + self.resources.limits.wait_s
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        grip = _Grip(_key(LOCK_KEY, sale_id, sku), _key(TOKEN_KEY, sale_id, sku), secrets.token_hex(12))
        async with self._lines.turn(grip.lock, self.resources.limits.wait_s) as line:
            if line is None or not self.resources.redis.available:
                return None
            try:
                return await self._buy_by_lock(purchase, grip, give_up_s)
            except RedisAwayError:
                line.disperse()
                return None
            except DatabaseAwayError as error:  # only while reading the fence: nothing was written
                return Unavailable(str(error), no_effect=True)
            finally:
                if grip.sent_s is not None:
                    await self._aftermath.see_to(self._release(grip))

    async def _buy_by_lock(self, purchase: Purchase, grip: _Grip, give_up_s: float) -> Result | None:
        token = await self._wait_for_lock(purchase, grip, give_up_s)
        if token != BUSY:
            await self.resources.reach("after_hold")
        for last in (False, True):
            if token == BUSY or not self._lease_suffices(grip):
                return None
            result = await self.resources.ledger.commit_fenced(purchase, token)
            if not isinstance(result, Fenced):
                return result
            if not last:
                token, _ = await self._raise_counter(grip, result.stored)
        return None

    async def _wait_for_lock(self, purchase: Purchase, grip: _Grip, give_up_s: float) -> int:
        """The token, or BUSY when the time is up."""
        released = self._waiting[grip.lock] = asyncio.Event()
        try:
            while True:
                released.clear()  # before asking: a release between the answer and the waiting must not be missed
                token, left_ms = await self._acquire(grip)
                if token == MISSING:
                    (row,) = await self.resources.ledger.stock_rows(purchase.sale, [purchase.sku])
                    token, left_ms = await self._raise_counter(grip, row.fence)
                # A holder that died wakes nobody: its lease ends.
                wait_s = min(give_up_s - time.monotonic(), max(left_ms, 1) / 1000)
                if token != BUSY or wait_s <= 0:
                    return token
                await _wait(released, wait_s)
        finally:
            del self._waiting[grip.lock]

    async def _acquire(self, grip: _Grip) -> tuple[int, int]:
        return await self._ask(ACQUIRE, grip)

    async def _raise_counter(self, grip: _Grip, fence: int) -> tuple[int, int]:
        return await self._ask(RAISE, grip, fence, self._retention_ms)

    async def _ask(self, script: Script, grip: _Grip, *more: int) -> tuple[int, int]:
        grip.sent_s, grip.answered = time.monotonic(), False
        token, left_ms = await script.run(
            self.resources.redis, (grip.lock, grip.token), (grip.owner, self._lease_ms, *more)
        )
        grip.answered = True
        return token, left_ms

    def _lease_suffices(self, grip: _Grip) -> bool:
        """Whether the lock outlives the longest transaction that could begin now."""
        limits = self.resources.limits
        assert grip.sent_s is not None
        return grip.sent_s + limits.lock_lease_s - time.monotonic() >= limits.commit_s

    async def _release(self, grip: _Grip) -> None:
        """Whatever comes of it, the answer to the buyer stands: the lease ends a lock that could not be released."""
        await self.resources.reach("before_release")
        try:
            released = await RELEASE.run(self.resources.redis, (grip.lock,), (grip.owner, CHANNEL))
        except RedisAwayError:
            released = 0
            grip.answered = False
        if not released and not grip.answered:
            self._aftermath.begin(self._release_stray(grip))

    async def _release_stray(self, grip: _Grip) -> None:
        """A command that was not answered may still be executed, and lock the SKU for nobody: try for a while."""
        answers = 0
        for _ in range(STRAY_ROUNDS):
            await asyncio.sleep(STRAY_ROUND_S)
            if not self.resources.redis.available:
                continue
            try:
                if await RELEASE.run(self.resources.redis, (grip.lock,), (grip.owner, CHANNEL)):
                    return
            except RedisAwayError:
                continue
            answers += 1
            if answers == STRAY_ANSWERS:
                return

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            self.resources.redis.listen(CHANNEL, self._hear)

    def _hear(self, lock: bytes) -> None:
        waiting = self._waiting.get(lock.decode())
        if waiting is not None:
            waiting.set()


def _key(template: str, sale_id: UUID, sku: str) -> str:
    return template.format(sale_id=sale_id, sku=sku)


async def _wait(event: asyncio.Event, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return
