"""What the machine and the stores can do, measured: the figures under which a run's latencies hold."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from flashbench.services.discovery import without_password
from flashbench.services.model import ServiceInfo, StackInfo
from flashbench.services.scratch import filesystem_of

BLOCK_BYTES = 8192  # a Postgres page


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 99th percentile in microseconds, over ``n`` samples."""

    p50_us: float
    p99_us: float
    n: int

    @classmethod
    def of(cls, samples_us: list[float]) -> Spread:
        """From at least two samples."""
        return cls(
            round(statistics.median(samples_us), 1),
            round(statistics.quantiles(samples_us, n=100, method="inclusive")[98], 1),
            len(samples_us),
        )


def measure_fsync(folder: Path, samples: int = 200) -> Spread:
    """Write one page and fdatasync it, as a commit does."""
    page = os.urandom(BLOCK_BYTES)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:

        def commit() -> None:
            file.write(page)
            os.fdatasync(file.fileno())

        return _timed(commit, samples)


def measure_postgres(url: str, samples: int = 200) -> Spread:
    """``SELECT 1`` on one connection."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        return _timed(lambda: connection.execute("SELECT 1").fetchone(), samples)


def measure_redis(url: str, samples: int = 200) -> Spread:
    """``PING`` on one connection."""
    with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
        return _timed(client.ping, samples)


def fingerprint(info: StackInfo) -> dict[str, dict[str, Any]]:
    """``work`` (what ran) and ``machine`` (what it ran on, with measured fsync and round trips, microseconds)."""
    fsync = measure_fsync(Path(info.scratch))
    postgres, redis_spread = measure_postgres(info.database_url), measure_redis(info.redis_url)
    return {
        "work": {
            "postgres": _server(info.postgres),
            "redis": _server(info.redis),
            "app_workers": info.app_workers,
            "python": platform.python_version(),
        },
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "kernel": platform.release(),
            "scratch_filesystem": info.scratch_filesystem,
            "fsync_p50_us": fsync.p50_us,
            "fsync_p99_us": fsync.p99_us,
            "postgres_round_trip_p50_us": postgres.p50_us,
            "redis_round_trip_p50_us": redis_spread.p50_us,
        },
    }


def cpu_model() -> str:
    """The processor's name, from /proc/cpuinfo where there is one."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def scratch_filesystem() -> str:
    """The filesystem on which an embedded stack would keep its data."""
    return filesystem_of(Path(tempfile.gettempdir()))


def _server(service: ServiceInfo) -> dict[str, Any]:
    place = {"location": without_password(service.location)} if service.origin == "given" else {}
    return {"version": service.version, "origin": service.origin, **place, **service.settings}


def _timed(action: Callable[[], object], samples: int) -> Spread:
    taken_us = []
    for _ in range(samples):
        start = time.perf_counter_ns()
        action()
        taken_us.append((time.perf_counter_ns() - start) / 1000)
    return Spread.of(taken_us)
