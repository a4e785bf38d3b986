"""Embedded Postgres: a real server with durable commits, on loopback only, with a random password."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg

from flashbench.services.child import Child, free_port, wait_until
from flashbench.services.discovery import Discovery
from flashbench.services.model import ServiceInfo
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


def start_postgres(found: Discovery, data: Path, logs: Path, check: Callable[[], None]) -> tuple[Child, ServiceInfo]:
    """initdb and start; answers when a connection has been made."""
    password = secrets.token_urlsafe(16)
    bin_folder = Path(found.location).parent
    give_away(data)
    password_file = data / "password"
    password_file.write_text(password)
    give_away(password_file)
    cluster = data / "cluster"
    initdb = Child(
        "initdb",
        [
            *(bin_folder / "initdb", "--pgdata", cluster, "--username", "flashbench", "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"),
            "--no-sync",  # the empty cluster needs no durability; the server that runs on it has fsync on
        ],
        log=logs / "initdb.log",
        before_exec=postgres_child(),
        stop_signals=[(signal.SIGTERM, 2.0)],
        working_directory=data,
    )
    try:
        initdb.finish(check)
    finally:
        initdb.stop()
    port = free_port()
    options = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
    server = Child(
        "postgres",
        [found.location, "-D", cluster, "-p", str(port), *options],
        log=logs / "postgres.log",
        before_exec=postgres_child(),
        stop_signals=[(signal.SIGINT, 8.0), (signal.SIGQUIT, 4.0)],
        working_directory=data,
    )
    url = f"postgresql://flashbench:{password}@127.0.0.1:{port}/flashbench"
    maintenance = url.rpartition("/")[0] + "/postgres"

    def answers() -> bool:
        server.expect_running()
        try:
            with psycopg.connect(maintenance, connect_timeout=2, autocommit=True) as connection:
                connection.execute("CREATE DATABASE flashbench")
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(answers, check, limit_s=30, what="Postgres to answer")
        return server, describe_postgres(found, url, server.pid)
    except BaseException:
        server.stop()
        raise


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
