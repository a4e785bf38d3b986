"""Key look-ups in bulk: all that are asked for in one turn of the event loop share one statement.

A look-up never joins a statement that was already sent, since it must see what was committed before it was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import asyncpg

from target_app.ledger.database import AWAY, BUSY, PostgresPool
from target_app.strategies.protocol import DatabaseAwayError

MOST_KEYS = 1000  # in one statement
# Key by key, as FIND_KEY: a join that is planned while there are no orders yet reads the whole table for every batch.
FIND_KEYS = """
    SELECT o.order_id, wanted.sale_id, wanted.key, o.sku, o.quantity, o.user_id, o.remaining, o.seq
    FROM unnest($1::uuid[], $2::text[]) AS wanted (sale_id, key)
    CROSS JOIN LATERAL (
        SELECT order_id, sku, quantity, user_id, remaining, seq FROM orders
        WHERE orders.key = wanted.key AND (orders.sale_id = wanted.sale_id) IS TRUE AND guarded LIMIT 1
    ) AS o"""

Wanted = tuple[UUID, str]


class KeyLookups:
    """Batches of one loop turn. Each batch is one task; who waits for it may be cancelled without harm to the rest."""

    def __init__(self, database: PostgresPool, limit_s: float) -> None:
        self._database = database
        self._limit_s = limit_s
        self._gathering: dict[Wanted, asyncio.Future[asyncpg.Record | None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def find(self, sale_id: UUID, key: str) -> asyncpg.Record | None:
        """The order made with the key; DatabaseAwayError if Postgres does not say within the limit."""
        wanted = (sale_id, key)
        if wanted not in self._gathering:
            if not self._gathering:
                asyncio.get_running_loop().call_soon(self._send)
            self._gathering[wanted] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._gathering[wanted])

    def _send(self) -> None:
        batch, self._gathering = self._gathering, {}
        items = list(batch.items())
        for start in range(0, len(items), MOST_KEYS):
            task = asyncio.get_running_loop().create_task(self._look_up(dict(items[start : start + MOST_KEYS])))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _look_up(self, batch: dict[Wanted, asyncio.Future[asyncpg.Record | None]]) -> None:
        try:
            async with asyncio.timeout(self._limit_s), self._database.reading() as connection:
                rows = await connection.fetch(FIND_KEYS, [sale for sale, _ in batch], [key for _, key in batch])
        except (DatabaseAwayError, *AWAY, *BUSY) as error:
            _fail(batch.values(), DatabaseAwayError(f"the key could not be looked up: {error}"))
        except BaseException as error:
            # A bug is for those who asked to show; the end of the worker must not leave them waiting.
            ended = isinstance(error, asyncio.CancelledError)
            _fail(batch.values(), DatabaseAwayError("the worker ends") if ended else error)
            if ended:
                raise
        else:
            found = {(row["sale_id"], row["key"]): row for row in rows}
            for wanted, future in batch.items():
                future.set_result(found.get(wanted))


def _fail(futures: Iterable[asyncio.Future[asyncpg.Record | None]], error: BaseException) -> None:
    for future in futures:
        future.set_exception(error)
        future.exception()  # marked as seen: whoever asked may have gone
