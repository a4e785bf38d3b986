"""The ledger of one worker, without HTTP and without Redis, and what Postgres says of its sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from target_app.ledger.database import PostgresPool
from target_app.ledger.postgres import PostgresLedger
from target_app.settings import Settings
from target_app.strategies.protocol import Item, Purchase, Result, Sale
from tests.waiting import eventually

SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'target_app' AND state LIKE $1"""


@dataclass(frozen=True)
class Till:
    """One pool and one ledger; ``aside`` is a session of the test's own."""

    settings: Settings
    database: PostgresPool
    ledger: PostgresLedger
    aside: asyncpg.Connection[asyncpg.Record]

    async def open(self, stock: int = 10, *, skus: int = 1, per_user_limit: int = 0) -> Sale:
        """A new sale of SKUs "a", "b", …"""
        items = [Item(chr(ord("a") + number), stock, 100) for number in range(skus)]
        return await self.ledger.create_sale("row_lock", items, per_user_limit)

    async def buy(self, sale: Sale, key: str, quantity: int = 1, *, sku: str = "a", user: str = "u") -> Result:
        return await self.ledger.commit(Purchase(sale, sku, quantity, user, key))

    async def remaining(self, sale: Sale, sku: str = "a") -> int:
        (row,) = await self.ledger.stock_rows(sale, [sku])
        return row.remaining

    async def keys(self, sale: Sale) -> list[str]:
        return [order.key async for order in self.ledger.orders(sale)]

    async def sessions(self, state: str = "%") -> int:
        """The worker's sessions in a state such as "idle in transaction%"."""
        return int(await self.aside.fetchval(SESSIONS, state))

    async def check_nothing_leaked(self) -> None:
        """No transaction is open, and every connection of the pool can be lent at once."""

        async def none_open() -> bool:
            return await self.sessions("idle in transaction%") == 0 and await self.sessions("active") == 0

        await eventually(none_open)
        async with AsyncExitStack() as stack:
            for _ in range(self.settings.database_pool):
                connection = await stack.enter_async_context(self.database.connection())
                assert not connection.is_in_transaction()
                assert await connection.fetchval("SELECT 1") == 1


@asynccontextmanager
async def till(postgres_url: str, **settings: Any) -> AsyncIterator[Till]:
    """A till with its tables; keyword arguments are settings."""
    chosen = Settings.model_validate(
        {"database_url": postgres_url, "admin_token": "unused-here", "database_pool": 2, **settings}
    )
    async with session(postgres_url) as aside:
        database = await PostgresPool.connect(chosen)
        try:
            yield Till(chosen, database, PostgresLedger(database, chosen), aside)
        finally:
            await database.close()


@asynccontextmanager
async def session(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A session of the test's own."""
    connection = await asyncpg.connect(postgres_url)
    try:
        yield connection
    finally:
        await connection.close()
