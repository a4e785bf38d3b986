"""Embedded Postgres: a real server with durable commits, on loopback only, with a random password.

It can be shut down at once and started again over the same data and under the same address, which is what faults do to
it. An immediate shutdown ends it without a checkpoint, as a crash does: when it starts again it recovers what was
committed from its log. The machine's page cache lives on, so this tests synchronous_commit and not the disk.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg

from flashbench.services.child import Child, free_port
from flashbench.services.discovery import Discovery
from flashbench.services.model import ServiceInfo
from flashbench.services.server import Server
from flashbench.services.unprivileged import give_away, postgres_child

POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_min_messages": "warning",
}
DURABILITY_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method")


class PostgresServer(Server):
    """Its process is the postmaster. Stopping that would not stop its sessions, so it can't be hung."""

    name = "Postgres"
    returns = "with all that was committed"
    killed_by = signal.SIGQUIT

    def __init__(self, found: Discovery, data: Path, logs: Path) -> None:
        super().__init__()
        self._found, self._data, self._logs = found, data, logs
        self._cluster = data / "cluster"
        self._password = secrets.token_urlsafe(16)
        self._port = free_port()
        self.url = self._url("flashbench")

    @property
    def info(self) -> ServiceInfo:
        """What is known of it while it answers."""
        return describe_postgres(self._found, self.url, self.pid)

    def create(self, check: Callable[[], None]) -> None:
        """Make the cluster and start it for the first time; it has the database when this returns."""
        give_away(self._data)
        password_file = self._data / "password"
        password_file.write_text(self._password)
        give_away(password_file)
        initdb = Child(
            "initdb",
            [
                Path(self._found.location).parent / "initdb",
                *("--pgdata", self._cluster, "--username", "flashbench", "--pwfile", password_file),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"),
                "--no-sync",  # the empty cluster needs no durability; the server that runs on it has fsync on
            ],
            log=self._logs / "initdb.log",
            before_exec=postgres_child(),
            stop_signals=[(signal.SIGTERM, 2.0)],
            working_directory=self._data,
        )
        try:
            initdb.finish(check)
        finally:
            initdb.stop()
        self.start(check)
        with psycopg.connect(self._url("postgres"), connect_timeout=5, autocommit=True) as connection:
            connection.execute("CREATE DATABASE flashbench")

    def _launch(self) -> Child:
        options = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return Child(
            "postgres",
            [self._found.location, "-D", self._cluster, "-p", str(self._port), *options],
            log=self._logs / "postgres.log",
            before_exec=postgres_child(),
            stop_signals=[(signal.SIGINT, 8.0), (signal.SIGQUIT, 4.0)],
            working_directory=self._data,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, database: str) -> str:
        return f"postgresql://flashbench:{self._password}@127.0.0.1:{self._port}/{database}"


def describe_postgres(found: Discovery, url: str, pid: int | None = None) -> ServiceInfo:
    """What is known of a Postgres that answers; makes pg_stat_statements available where it may."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        settings = {}
        for name in DURABILITY_SETTINGS:
            row = connection.execute(f"SHOW {name}").fetchone()
            settings[name] = str(row[0]) if row else "unknown"
        if pid is not None:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return ServiceInfo(
        origin=found.origin,
        location=found.location,
        version=found.version,
        why=found.why,
        url=url,
        pid=pid,
        settings=settings,
    )
