"""Postgres: statements, lock waits, WAL, connections, and the stock of the sale."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psycopg
from psycopg.rows import dict_row

from benchmarks.telemetry.source import Reading

_SERVER = """
    SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements(false)
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS statements,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS wal_bytes,
           count(*)::float8 AS connections,
           count(*) FILTER (WHERE state <> 'idle')::float8 AS busy_connections,
           count(*) FILTER (WHERE wait_event_type = 'Lock')::float8 AS waiting_for_a_lock
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_STOCK = "SELECT sku, remaining::float8 AS remaining FROM stock WHERE sale_id = %s"


class Postgres:
    """Totals since the server's start, and the state of the moment. ``up`` is 0 while it does not answer."""

    name = "postgres"

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[dict[str, float]] | None = None

    def read(self) -> Iterable[Reading]:
        found = self._ask(_SERVER)
        yield Reading("", "up", float(found is not None))
        for row in found or ():
            yield from (Reading("", metric, value) for metric, value in row.items())

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()

    def _ask(self, query: str, *values: str) -> list[dict[str, float]] | None:
        """The rows; None if Postgres does not answer, or not that."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=2,
                    application_name="flashbench",
                    options="-c search_path=target_app,public -c statement_timeout=80 -c jit=off",
                    row_factory=dict_row,
                )
            return self._connection.execute(query, values, prepare=True).fetchall()
        except (psycopg.Error, OSError):
            return None


class PostgresStock(Postgres):
    """What is left of each SKU in Postgres."""

    name = "stock"

    def __init__(self, url: str, sale_id: str) -> None:
        super().__init__(url)
        self._sale_id = sale_id

    def read(self) -> Iterable[Reading]:
        for row in self._ask(_STOCK, self._sale_id) or ():
            yield Reading(str(row["sku"]), "postgres_remaining", row["remaining"])
