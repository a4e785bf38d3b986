"""The worker's Postgres pool: bounded connections, a bounded queue for them, bounded statements."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from target_app.settings import Settings
from target_app.strategies.protocol import DatabaseAwayError
from target_app.timing import spent

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

SCHEMA = Path(__file__).with_name("schema.sql")
RELEASE_LIMIT_S = 1.0
SCHEMA_LOCK = 0x7A26E7  # an advisory lock, since all workers create the schema at the same moment

# What says that Postgres, or the way to it, is gone; anything else that it raises is a bug or an answer.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
# What says that Postgres gave up waiting, or had to choose a victim: nothing was written.
BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class PostgresPool:
    """Connections for one worker behind a bulkhead: those over the queue's length are shed at once."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._waiting = 0

    @classmethod
    async def connect(cls, settings: Settings) -> PostgresPool:
        """Create the schema if it is missing, and open every connection before the worker calls itself ready."""
        url = settings.database_url.get_secret_value()
        connection = await asyncpg.connect(url, timeout=5, server_settings={"application_name": "target_app"})
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
                await connection.execute(SCHEMA.read_text())
        finally:
            await connection.close()
        statement_ms = round(settings.statement_timeout_s * 1000)
        pool = await asyncpg.create_pool(
            url,
            min_size=settings.database_pool,
            max_size=settings.database_pool,
            max_inactive_connection_lifetime=0,
            timeout=2.0,
            command_timeout=settings.transaction_timeout_s,
            reset=_tidy,
            server_settings={
                "application_name": "target_app",
                "search_path": "target_app",
                "lock_timeout": str(round(settings.lock_timeout_s * 1000)),
                "statement_timeout": str(statement_ms),
                # A worker that is stopped between two statements must not keep its row lock for as long as it sleeps.
                "idle_in_transaction_session_timeout": str(statement_ms),
            },
        )
        return cls(pool, settings)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection; DatabaseAwayError if the queue is full or none came free within the limit."""
        if self._waiting >= self._settings.database_queue:
            raise DatabaseAwayError("too many requests wait for the database")
        self._waiting += 1
        try:
            with spent("postgres"):
                connection = await self._pool.acquire(timeout=self._settings.database_wait_s)
        except (*AWAY, asyncpg.PostgresError) as error:
            raise DatabaseAwayError(f"no database connection: {type(error).__name__}") from error
        finally:
            self._waiting -= 1
        try:
            with spent("postgres"):
                yield connection
        finally:
            # A connection that fails only now is closed by the pool; what was done with it stands.
            with contextlib.suppress(*AWAY, *BUSY):
                await self._pool.release(connection, timeout=RELEASE_LIMIT_S)

    async def answers(self) -> bool:
        """Whether Postgres answers at this moment."""
        try:
            async with self.connection() as connection:
                await connection.fetchval("SELECT 1", timeout=1.0)
        except (DatabaseAwayError, *AWAY, *BUSY):
            return False
        return True

    async def close(self) -> None:
        """Close every connection, by force if they don't within a moment."""
        try:
            await asyncio.wait_for(self._pool.close(), 2.0)
        except TimeoutError:
            self._pool.terminate()


async def _tidy(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """End what was left open before a connection is lent again. The default RESET ALL costs each purchase a trip."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
