"""Workers without HTTP: each with its own pools and its own strategies, over the same two stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from target_app.cache.guarded_redis import BreakerRedis
from target_app.failpoints import Failpoints
from target_app.ledger.database import PostgresPool
from target_app.ledger.postgres import PostgresLedger
from target_app.settings import Settings
from target_app.strategies.protocol import Item, Limits, Purchase, Resources, Result, Sale, Strategy, unarmed
from target_app.strategies.redis_lock.strategy import RedisLock
from target_app.strategies.redis_lua.strategy import RedisLua
from target_app.strategies.row_lock.strategy import RowLock

KINDS: dict[str, type[Strategy]] = {"redis_lock": RedisLock, "redis_lua": RedisLua, "row_lock": RowLock}


@dataclass(frozen=True)
class Worker:
    """One process' worth of the app."""

    database: PostgresPool
    ledger: PostgresLedger
    redis: BreakerRedis
    resources: Resources
    strategy: Strategy

    async def open(self, stock: int = 10, *, skus: int = 1, per_user_limit: int = 0) -> Sale:
        """A new sale of SKUs "a", "b", …"""
        items = [Item(chr(ord("a") + number), stock, 100) for number in range(skus)]
        sale = await self.ledger.create_sale(self.strategy.name, items, per_user_limit)
        await self.strategy.open(sale)
        return sale

    async def buy(
        self, sale: Sale, quantity: int = 1, *, sku: str = "a", user: str | None = None, key: str | None = None
    ) -> Result:
        """One purchase, by somebody new unless named."""
        return await self.strategy.buy(Purchase(sale, sku, quantity, user or uuid4().hex, key or uuid4().hex))

    async def remaining(self, sale: Sale, sku: str = "a") -> int:
        """What Postgres has."""
        (row,) = await self.ledger.stock_rows(sale, [sku])
        return row.remaining

    async def orders(self, sale: Sale) -> list[tuple[str, int, int | None, int | None, int | None]]:
        """The ledger: key, quantity, remaining, seq, fence, in the order of ``seq``."""
        rows = [
            (order.key, order.quantity, order.remaining, order.seq, order.fence)
            async for order in self.ledger.orders(sale)
        ]
        return sorted(rows, key=lambda row: row[3] or 0)


@asynccontextmanager
async def working(
    kind: str,
    postgres_url: str,
    redis_url: str | None,
    limits: Limits | None = None,
    *,
    failpoints: Path | None = None,
    **settings: float,
) -> AsyncIterator[Worker]:
    """A worker that offers one strategy."""
    reach = unarmed if failpoints is None else Failpoints(failpoints).reach
    chosen = Settings.model_validate(
        {"database_url": postgres_url, "admin_token": SecretStr("unused-here"), "database_pool": 12, **settings}
    )
    database = await PostgresPool.connect(chosen)
    ledger = PostgresLedger(database, chosen, reach)
    redis = BreakerRedis.connect(
        redis_url, command_timeout_s=chosen.redis_command_s, connect_timeout_s=chosen.redis_connect_s
    )
    resources = Resources(database, ledger, redis, limits or chosen.limits, reach)
    strategy = KINDS[kind](resources)
    try:
        yield Worker(database, ledger, redis, resources, strategy)
    finally:
        await strategy.close()
        await redis.close()
        await database.close()
