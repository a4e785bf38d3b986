"""The stock counter of one SKU in Redis: the scripts, as methods. See the scripts for why each is safe."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from target_app.cache.script import Script
from target_app.strategies.protocol import GuardedRedis, Limits, Purchase, Resources

HOLD = Script.beside(__file__, "hold.lua")
SETTLE = Script.beside(__file__, "announce.lua", "settle.lua")
GIVE_BACK = Script.beside(__file__, "announce.lua", "give_back.lua")
MARK = Script.beside(__file__, "mark.lua")
TEND = Script.beside(__file__, "announce.lua", "tend.lua")
SEED = Script.beside(__file__, "announce.lua", "seed.lua")

COUNTER_KEY = "redis_lua:{sale_id}:stock:{sku}"
SETTLED_KEY = "redis_lua:{sale_id}:settled"
MOST_AT_ONCE = 100  # counters looked at by one script


class Decision(Enum):
    """What a request for a hold was told."""

    HELD = b"held"
    WAIT = b"wait"
    SOLD_OUT = b"sold_out"
    LIMITED = b"limited"
    MISSING = b"missing"


@dataclass(frozen=True, slots=True)
class State:
    """What a seeder must have seen before it reads Postgres. ``avail`` None: there is no counter."""

    epoch: str
    version: str
    stale: bool
    avail: int | None
    held: int


class SkuCounter:
    """The counter of one SKU of one sale. Every method may raise RedisAwayError."""

    def __init__(self, resources: Resources, sale_id: UUID, sku: str) -> None:
        self._redis = resources.redis
        self._limits: Limits = resources.limits
        self._settled = SETTLED_KEY.format(sale_id=sale_id)
        self._retention_ms = round(resources.limits.retention_s * 1000)
        self.key = COUNTER_KEY.format(sale_id=sale_id, sku=sku)

    async def hold(self, purchase: Purchase, token: str) -> Decision:
        """Take the purchase's units under ``token``, or say why not."""
        arguments = (
            token,
            purchase.quantity,
            round(self._limits.hold_lease_s * 1000),
            purchase.user_id,
            purchase.sale.per_user_limit,
            round(self._limits.wait_s * 1000),
        )
        return Decision(await HOLD.run(self._redis, (self.key, self._settled), arguments))

    async def settle(self, purchase: Purchase, token: str) -> None:
        """The purchase's own order, made under this hold, is committed."""
        limited = int(purchase.sale.per_user_limit > 0)
        await SETTLE.run(self._redis, (self.key, self._settled), (token, purchase.user_id, self._retention_ms, limited))

    async def give_back(self, token: str, *, mark: bool) -> None:
        """The hold came to nothing; ``mark`` if Postgres has contradicted the counter."""
        await GIVE_BACK.run(self._redis, (self.key,), (token, self._retention_ms, int(mark)))

    async def mark(self) -> None:
        """Something was sold past the counter, or Postgres has contradicted it."""
        await MARK.run(self._redis, (self.key,), (secrets.token_hex(8), self._retention_ms, ""))

    async def doubt(self, token: str) -> None:
        """Nobody knows whether the order under this hold was committed."""
        await MARK.run(self._redis, (self.key,), (secrets.token_hex(8), self._retention_ms, token))

    async def seed(self, seen: State, remaining: int) -> bool:
        """Set the counter to what Postgres had after ``seen``; False if another seed came in between."""
        arguments = (seen.epoch, seen.version, remaining, secrets.token_hex(8), self._retention_ms)
        return bool(await SEED.run(self._redis, (self.key,), arguments))


async def look(redis: GuardedRedis, counters: Sequence[SkuCounter], *, reap: bool) -> list[State]:
    """The counters' states, after giving back the holds whose lease is over if asked to; may raise RedisAwayError."""
    states = []
    for start in range(0, len(counters), MOST_AT_ONCE):
        keys = [counter.key for counter in counters[start : start + MOST_AT_ONCE]]
        for epoch, version, stale, avail, held in await TEND.run(redis, keys, (secrets.token_hex(8), int(reap))):
            states.append(State(epoch.decode(), version.decode(), bool(stale), avail, held))
    return states
