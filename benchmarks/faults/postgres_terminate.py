"""Postgres ends all of the app's sessions (pg_terminate_backend); new ones are welcome at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.probes import postgres_session
from benchmarks.workers import Workers
from flashbench.trial.stores import APP_NAME

_OF_THE_APP = "FROM pg_stat_activity WHERE application_name = %(app)s AND datname = current_database()"
_SESSIONS = f"SELECT pid, backend_start {_OF_THE_APP}"
_END = f"SELECT pid, backend_start, pg_terminate_backend(pid) {_OF_THE_APP}"


class PostgresTerminate(Fault):
    """As by an impatient administrator. What was under way was rolled back, or its commit went unanswered."""

    hurts = "postgres"
    momentary = True
    relies = frozenset({Part.POSTGRES_ANSWERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._ended: set[tuple[int, datetime]] = set()
        self._workers = Workers(scene)

    def inject(self) -> None:
        with postgres_session(self.scene.database_url) as session:
            found = session.execute(_END, {"app": APP_NAME}).fetchall()
        self.began_ns = time.monotonic_ns()
        self._ended = {(row["pid"], row["backend_start"]) for row in found}
        if not self._ended:
            raise FaultError("the app has no session that could be ended")

    def bite(self) -> str | None:
        with postgres_session(self.scene.database_url) as session:
            found = session.execute(_SESSIONS, {"app": APP_NAME}).fetchall()
        left = self._ended & {(row["pid"], row["backend_start"]) for row in found}
        return f"all {len(self._ended)} sessions that the app had are gone" if self._ended and not left else None

    def heal(self) -> None:
        """The app makes new ones when it needs them."""

    def healed(self) -> str | None:
        if not self._ended:
            return "no session was ended"
        return "every worker of the app has a session again" if self._workers.all_ready() else None
