"""The worker's Postgres pool: bounded connections, bounded queues for them, bounded statements."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from target_app.settings import Settings
from target_app.strategies.protocol import DatabaseAwayError
from target_app.timing import spent

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

log = logging.getLogger("target_app.postgres")

SCHEMA = Path(__file__).with_name("schema.sql")
RELEASE_LIMIT_S = 1.0
START_RETRY_S = 0.25
SCHEMA_LIMIT_S = 5.0
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
# What says so to a worker that starts, and may be over soon; another error is the settings' fault.
AWAY_AT_START = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# What says that Postgres gave up waiting, or had to choose a victim: nothing was written.
BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class _Line:
    """Those who want a connection for the same kind of work: so many may have one, so many more may wait."""

    def __init__(self, places: int, queue: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.queue = queue
        self.waiting = 0


class PostgresPool:
    """Connections for one worker behind a bulkhead.

    Purchases and reads stand in lines of their own, and purchases leave some of the connections to reads. Who would
    make a line too long is shed at once, who has waited in it for too long is shed then.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], settings: Settings) -> None:
        self._pool = pool
        self._wait_s = settings.database_wait_s
        self._purchases = _Line(settings.purchase_connections, settings.database_queue)
        self._reads = _Line(settings.database_pool + settings.database_queue, settings.database_queue)

    @classmethod
    async def connect(cls, settings: Settings) -> PostgresPool:
        """Create the schema if it is missing, and open every connection before the worker calls itself ready.

        A Postgres that is away is waited for: a worker that fails to start makes uvicorn end all the others.
        """
        give_up_s = time.monotonic() + settings.database_start_s
        while True:
            try:
                return await cls._connect(settings)
            except asyncpg.ClientConfigurationError:
                raise
            except AWAY_AT_START as error:
                if time.monotonic() >= give_up_s:
                    raise
                log.warning("waiting for Postgres: %s: %s", type(error).__name__, error)
            await asyncio.sleep(START_RETRY_S)

    @classmethod
    async def _connect(cls, settings: Settings) -> PostgresPool:
        url = settings.database_url.get_secret_value()
        connection = await asyncpg.connect(url, timeout=5, server_settings={"application_name": "target_app"})
        try:
            # Statements that are sent together are one transaction, and one wait that has a limit.
            schema = f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK});\n{SCHEMA.read_text()}"
            await connection.execute(schema, timeout=SCHEMA_LIMIT_S)
        finally:
            connection.terminate()
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

    def connection(self, *, within_s: float = math.inf) -> AbstractAsyncContextManager[Connection]:
        """A connection for a purchase; DatabaseAwayError if the line is too long or none came free within the limit."""
        return self._lent(self._purchases, min(self._wait_s, within_s))

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reads, which purchases can't use up; DatabaseAwayError as for theirs."""
        return self._lent(self._reads, self._wait_s)

    @asynccontextmanager
    async def _lent(self, line: _Line, limit_s: float) -> AsyncIterator[Connection]:
        connection = await self._next(line, limit_s)
        try:
            with spent("postgres"):
                yield connection
        finally:
            try:
                # A connection that fails only now is closed by the pool; what was done with it stands.
                with contextlib.suppress(*AWAY, *BUSY):
                    await self._pool.release(connection, timeout=RELEASE_LIMIT_S)
            finally:
                line.places.release()

    async def _next(self, line: _Line, limit_s: float) -> Connection:
        """A connection, with a place of the line that must be released after it."""
        if line.waiting >= line.queue:
            raise DatabaseAwayError("too many requests wait for the database")
        line.waiting += 1
        try:
            with spent("postgres"):
                async with asyncio.timeout(limit_s):
                    await line.places.acquire()
                    try:
                        return await self._pool.acquire()
                    except BaseException:
                        line.places.release()
                        raise
        except (*AWAY, asyncpg.PostgresError) as error:
            raise DatabaseAwayError(f"no database connection: {type(error).__name__}") from error
        finally:
            line.waiting -= 1

    async def answers(self) -> bool:
        """Whether Postgres answers at this moment."""
        try:
            async with self.reading() as connection:
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
