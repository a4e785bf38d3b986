"""``flashbench doctor``: what will be used, why, and how fast it is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import typer

from benchmarks.cli.options import DatabaseUrl, RedisUrl
from flashbench.services import Stack, StackRequest
from flashbench.services.discovery import Discovery, discover_postgres, discover_redis, without_password
from flashbench.services.machine import Spread, cpu_model, measure_fsync, measure_postgres, measure_redis
from flashbench.services.scratch import filesystem_of

PACKAGES = ("locust", "geventhttpclient", "fastapi", "uvicorn", "redis", "asyncpg")


def doctor(database_url: DatabaseUrl = None, redis_url: RedisUrl = None) -> None:
    """Say which Postgres and Redis will be used and why, and measure the disk and the stores.

    Exits with 2 and one sentence that names the remedy if something is missing.
    """
    _line("machine", f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    _line("Python", f"{platform.python_version()} with {versions}")
    for name, found in (("Postgres", discover_postgres(database_url)), ("Redis", discover_redis(redis_url))):
        _line(name, _found(found))
    with Stack.start(
        StackRequest(database_url=database_url, redis_url=redis_url, with_app=False), progress=lambda _: None
    ) as stack:
        scratch = Path(stack.info.scratch)
        filesystem = filesystem_of(scratch)
        _line("scratch", f"{scratch.parent} ({filesystem})")
        if filesystem == "tmpfs":
            _line(
                "", "a tmpfs hides the cost of a commit: latencies will be withheld; set TMPDIR to a folder on a disk"
            )
        _line("fsync", _spread(measure_fsync(scratch)))
        _line("Postgres", f"round trip {_spread(measure_postgres(stack.info.database_url))}")
        _line("Redis", f"round trip {_spread(measure_redis(stack.info.redis_url))}")
        durable = ", ".join(f"{name} {value}" for name, value in stack.info.postgres.settings.items())
        _line("commits", durable)
    _line("verdict", "everything needed is here")


def _found(found: Discovery) -> str:
    return f"{found.version}, {found.origin}: {without_password(found.location)} ({found.why})"


def _spread(spread: Spread) -> str:
    return f"p50 {spread.p50_us:.0f} µs, p99 {spread.p99_us:.0f} µs ({spread.n} samples)"


def _line(name: str, text: str) -> None:
    typer.echo(f"{name:<10}{text}")
