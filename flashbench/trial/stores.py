"""What the harness reads from Postgres and Redis by itself, without asking the app.

Connections carry the application name ``flashbench``, so that the app's own (``target_app``) can be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, LiteralString, Self

import psycopg
import redis
from psycopg.rows import DictRow, dict_row

from flashbench.errors import UsageError
from flashbench.evidence.documents import Cost, CounterDeclaration, StoreReading
from flashbench.target.protocol import LedgerRow

APP_NAME = "target_app"
OWN_NAME = "flashbench"
LIMIT_S = 5.0

# The app keeps its tables in a schema of its own where the database is somebody's; else they are in public.
SEARCH_PATH = "-c search_path=target_app,public"

_ORDERS = """
    SELECT order_id::text, sku, quantity, user_id, key, remaining, seq, fence,
           (extract(epoch FROM created_at) * 1000000)::bigint AS created_unix_us
    FROM orders WHERE sale_id = %(sale)s ORDER BY created_at, seq
"""
_STOCK = """
    SELECT stock.sku, stock.initial, stock.remaining AS postgres_remaining,
           (SELECT coalesce(sum(quantity), 0) FROM orders
            WHERE orders.sale_id = stock.sale_id AND orders.sku = stock.sku)::bigint AS sold
    FROM stock WHERE stock.sale_id = %(sale)s
"""
# Of every session of the app: one whose transaction is open, or that is running a statement.
_OPEN_TRANSACTIONS = """
    SELECT count(*) AS open FROM pg_stat_activity
    WHERE application_name = %(app)s AND datname = current_database() AND state <> 'idle'
"""
_TRANSACTIONS = "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
_STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::bigint AS calls FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

StoreErrors = (psycopg.Error, redis.RedisError, OSError)


class Stores:
    """Postgres, and Redis where its URL is known. Opened after any fork; use in one thread at a time.

    Either may be stopped and started again between two readings.
    """

    def __init__(self, database_url: str, redis_url: str | None) -> None:
        """UsageError with one sentence if either does not answer."""
        self._database_url = database_url
        with ExitStack() as undo:
            try:
                self._postgres = self._connect()
            except (psycopg.Error, OSError) as error:
                raise UsageError(f"Postgres does not answer at the given --database-url ({_line(error)}).") from error
            undo.callback(self._postgres.close)
            self._redis: redis.Redis | None = None
            if redis_url:
                try:
                    self._redis = redis.Redis.from_url(
                        redis_url,
                        socket_timeout=LIMIT_S,
                        socket_connect_timeout=LIMIT_S,
                        decode_responses=True,
                        client_name=OWN_NAME,
                    )
                    self._redis.ping()
                except (redis.RedisError, ValueError, OSError) as error:
                    raise UsageError(f"Redis does not answer at the given --redis-url ({_line(error)}).") from error
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._postgres.close()
        if self._redis is not None:
            self._redis.close()

    @property
    def has_redis(self) -> bool:
        return self._redis is not None

    def holds_sale(self, sale_id: str) -> bool:
        """Whether this database is the one that the app wrote the sale to."""
        try:
            found = self._rows("SELECT 1 FROM stock WHERE sale_id = %(sale)s LIMIT 1", {"sale": sale_id})
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidTextRepresentation):
            return False
        return bool(found)

    def orders(self, sale_id: str) -> Iterator[LedgerRow]:
        """The ledger in the order of its making, streamed through a server-side cursor."""
        self._rows("SELECT 1")  # on a connection that stands
        with self._postgres.transaction(), self._postgres.cursor("orders") as cursor:
            cursor.itersize = 5000
            cursor.execute(_ORDERS, {"sale": sale_id})
            for row in cursor:
                yield LedgerRow(**row)

    def readings(
        self, sale_id: str, skus: tuple[str, ...], counter: CounterDeclaration | None
    ) -> tuple[StoreReading, ...]:
        """Every SKU in the order of ``skus``; sold and remaining of Postgres come from one snapshot."""
        rows = {row["sku"]: row for row in self._rows(_STOCK, {"sale": sale_id})}
        return tuple(StoreReading(**rows[sku], **self._counted(sale_id, sku, counter)) for sku in skus if sku in rows)

    def open_transactions(self) -> int:
        """The app's sessions that are not idle."""
        (row,) = self._rows(_OPEN_TRANSACTIONS, {"app": APP_NAME})
        return int(row["open"])

    def cost(self) -> Cost:
        """What the stores have done since they were started; the difference of two is what a phase cost."""
        (transactions,) = self._rows(_TRANSACTIONS)
        return Cost(
            postgres_statements=self._statements(),
            postgres_commits=transactions.get("xact_commit"),
            postgres_rollbacks=transactions.get("xact_rollback"),
            redis_commands=self._redis_commands(),
        )

    def _statements(self) -> int | None:
        try:
            (row,) = self._rows(_STATEMENTS)
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.ObjectNotInPrerequisiteState,
            psycopg.errors.InsufficientPrivilege,
        ):
            return None  # the extension is not there: somebody's own server
        return int(row["calls"])

    def _connect(self) -> psycopg.Connection[DictRow]:
        return psycopg.connect(
            self._database_url,
            autocommit=True,
            connect_timeout=int(LIMIT_S),
            application_name=OWN_NAME,
            options=f"{SEARCH_PATH} -c statement_timeout=30000",
            row_factory=dict_row,
        )

    def _rows(self, query: LiteralString, values: Mapping[str, Any] | None = None) -> list[DictRow]:
        """What a query finds; asked again on a new connection if the one that there was is lost."""
        try:
            return self._postgres.execute(query, values).fetchall()
        except psycopg.OperationalError:
            if not self._postgres.closed:
                raise
        self._postgres = self._connect()
        return self._postgres.execute(query, values).fetchall()

    def _redis_commands(self) -> int | None:
        if self._redis is None:
            return None
        return int(self._redis.info("stats")["total_commands_processed"])

    def _counted(self, sale_id: str, sku: str, counter: CounterDeclaration | None) -> dict[str, int | None]:
        if counter is None or self._redis is None:
            return {"redis_remaining": None, "redis_held": None}
        key = counter.key.format(sale_id=sale_id, sku=sku)
        if counter.remaining_field is None:
            return {"redis_remaining": _whole(self._redis.get(key)), "redis_held": None}
        held_field = counter.held_field
        remaining, held = self._redis.hmget(key, [counter.remaining_field, held_field or counter.remaining_field])
        return {"redis_remaining": _whole(remaining), "redis_held": _whole(held) if held_field else None}


def difference(before: Cost, after: Cost) -> Cost:
    """What happened between two readings; null where either is, or where a server was restarted in between."""
    spent: dict[str, int | None] = {}
    for field in Cost.model_fields:
        first, last = getattr(before, field), getattr(after, field)
        spent[field] = last - first if first is not None and last is not None and last >= first else None
    return Cost(**spent)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
