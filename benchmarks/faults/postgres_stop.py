"""Postgres is stopped at once (SIGQUIT), stays away, and comes back by replaying its log.

That shows whether what was committed had reached the log. It does not show whether the log had reached the disk: the
kernel's cache outlives a process.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.probes import postgres_session
from flashbench.services.control import Order


class PostgresStop(Fault):
    """Every session is gone, and no transaction that was open has happened."""

    hurts = "postgres"
    takes = frozenset({Part.POSTGRES_ANSWERS})
    ends = frozenset({"postgres"})
    heals_in_s = 1.5

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._life_before: datetime | None = None

    def inject(self) -> None:
        life = self._life()
        self.began_ns = self.scene.order("postgres", Order.KILL)
        self._life_before = life

    def bite(self) -> str | None:
        try:
            self._life()
        except psycopg.errors.ConnectionTimeout:
            return None
        except psycopg.OperationalError as refusal:
            return f"a connection is refused ({' '.join(str(refusal).split())})"
        return None

    def heal(self) -> None:
        self.scene.order("postgres", Order.START)

    def healed(self) -> str | None:
        try:
            life = self._life()
        except psycopg.OperationalError:
            return None
        return f"Postgres answers, started at {life:%H:%M:%S.%f}" if life != self._life_before else None

    def _life(self) -> datetime:
        """When the server that answers was started."""
        with postgres_session(self.scene.database_url) as session:
            row = session.execute("SELECT pg_postmaster_start_time() AS started").fetchone()
        if row is None or not isinstance(row["started"], datetime):
            raise FaultError("Postgres does not say when it was started")
        return row["started"]
