"""A lock in Postgres that a session of the harness's own holds, and who of the app's sessions waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from benchmarks.fault import FaultError
from benchmarks.probes import postgres_session
from flashbench.trial.stores import APP_NAME

_WITHIN_MS = 3000  # for the lock itself, in a crowd that wants it too
_MANNERS = f"-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout={_WITHIN_MS}"
# Of those who wait for the same row, only the first waits for its holder; the others wait for that one.
_SESSIONS = """
    SELECT client_port, coalesce(wait_event_type = 'Lock', false) AS waits,
           coalesce(wait_event_type = 'Lock' AND %(holder)s = ANY (pg_blocking_pids(pid)), false) AS waits_for_us
    FROM pg_stat_activity WHERE application_name = %(app)s AND datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One session of the app. ``port`` is its end of the connection."""

    port: int
    waits: bool
    waits_for_us: bool


class HeldLock:
    """Held from ``take`` until ``release``, or until Postgres ends the session. psycopg.Error if it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: psycopg.Connection[Any] | None = None
        self._pid: int | None = None

    def take(self, statements: Sequence[LiteralString], values: Mapping[str, Any]) -> None:
        """Begin a transaction and lock what the statements lock; FaultError if one of them finds nothing."""
        self._session = session = postgres_session(self._url, _MANNERS)
        session.autocommit = False
        self._pid = session.info.backend_pid
        for statement in statements:
            cursor = session.execute(statement, values)
            if cursor.description is not None and cursor.fetchone() is None:
                raise FaultError("what was to be locked is not there")

    def sessions(self) -> list[Waiting]:
        """The app's sessions."""
        with postgres_session(self._url) as watch:
            found = watch.execute(_SESSIONS, {"holder": self._pid or 0, "app": APP_NAME}).fetchall()
        return [Waiting(row["client_port"] or 0, row["waits"], row["waits_for_us"]) for row in found]

    def release(self) -> None:
        """End the transaction and the session, if it has not ended by itself."""
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.rollback()
            self._session.close()
            self._session = None

    def released(self) -> bool:
        """Whether nothing is held any more, as Postgres says."""
        with postgres_session(self._url) as watch:
            held = watch.execute("SELECT 1 FROM pg_locks WHERE pid = %s LIMIT 1", [self._pid]).fetchone()
        return held is None
