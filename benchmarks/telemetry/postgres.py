"""Postgres: statements, lock waits, WAL, connections, the app's oldest transaction, and the stock of the sale."""

from __future__ import annotations

import json
from collections.abc import Iterable

from benchmarks.telemetry.source import Reading
from benchmarks.telemetry.standing_query import StandingQuery
from flashbench.trial.stores import APP_NAME, OWN_NAME, SEARCH_PATH

_LIMIT_S = 0.06  # a Postgres that is away must not hold up the other sources
_OPTIONS = f"{SEARCH_PATH} -c statement_timeout=80 -c jit=off"

# One round trip for all of it.
_QUERY = """
    SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements(false)
            WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))::float8 AS statements,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS wal_bytes,
           count(*)::float8 AS connections,
           count(*) FILTER (WHERE state <> 'idle')::float8 AS busy_connections,
           count(*) FILTER (WHERE wait_event_type = 'Lock')::float8 AS waiting_for_a_lock,
           coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                    FILTER (WHERE application_name = $2), 0)::float8 AS oldest_transaction_s,
           (SELECT json_object_agg(sku, remaining) FROM stock WHERE sale_id = $1) AS remaining
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_METRICS = (
    *("statements", "wal_bytes", "connections", "busy_connections", "waiting_for_a_lock"),
    "oldest_transaction_s",
)


class Postgres:
    """Totals since the server's start, the state of the moment, and what is left of each SKU of the sale.

    ``up`` is 0 while it does not answer, which may be because it is slow. ``oldest_transaction_s``: for how long the
    app's oldest open transaction has been open, 0 if none is.
    """

    name = "postgres"

    def __init__(self, url: str, sale_id: str) -> None:
        self._query = StandingQuery(url, _QUERY, [sale_id, APP_NAME], application_name=OWN_NAME, options=_OPTIONS)

    def read(self) -> Iterable[Reading]:
        row = self._query.ask(_LIMIT_S)
        if row is None:
            yield Reading("", "up", 0.0)
            return
        yield Reading("", "up", 1.0)
        *values, remaining = row
        for metric, value in zip(_METRICS, values, strict=True):
            if value is not None:
                yield Reading("", metric, float(value))
        for sku, left in json.loads(remaining or b"{}").items():
            yield Reading(sku, "remaining", float(left))

    def close(self) -> None:
        self._query.close()
