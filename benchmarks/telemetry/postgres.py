"""Postgres: statements, lock waits, WAL, connections, and the stock of the sale."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.telemetry.source import Reading

# One round trip for all of it.
_QUERY = """
    SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements(false)
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS statements,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS wal_bytes,
           count(*)::float8 AS connections,
           count(*) FILTER (WHERE state <> 'idle')::float8 AS busy_connections,
           count(*) FILTER (WHERE wait_event_type = 'Lock')::float8 AS waiting_for_a_lock,
           (SELECT array_agg(sku ORDER BY sku) FROM stock WHERE sale_id = %(sale)s) AS skus,
           (SELECT array_agg(remaining::float8 ORDER BY sku) FROM stock WHERE sale_id = %(sale)s) AS remaining
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_METRICS = ("statements", "wal_bytes", "connections", "busy_connections", "waiting_for_a_lock")


class Postgres:
    """Totals since the server's start, the state of the moment, and what is left of each SKU of the sale.

    ``up`` is 0 while it does not answer.
    """

    name = "postgres"

    def __init__(self, url: str, sale_id: str) -> None:
        self._url, self._sale_id = url, sale_id
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def read(self) -> Iterable[Reading]:
        try:
            (row,) = self._connected().execute(_QUERY, {"sale": self._sale_id}, prepare=True).fetchall()
        except (psycopg.Error, OSError):
            yield Reading("", "up", 0.0)
            return
        yield Reading("", "up", 1.0)
        yield from (Reading("", metric, row[metric]) for metric in _METRICS)
        for sku, remaining in zip(row["skus"] or (), row["remaining"] or (), strict=True):
            yield Reading(sku, "remaining", remaining)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=2,
                application_name="flashbench",
                options="-c search_path=target_app,public -c statement_timeout=80 -c jit=off",
                row_factory=dict_row,
            )
        return self._connection
