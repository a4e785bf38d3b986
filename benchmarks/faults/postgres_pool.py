"""The app's pool of database connections is exhausted: every one of them waits for something that does not come.

The stock and orders tables are locked, so that whatever is asked of them waits; plain reads of the stock excepted, so
that it can still be watched.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import psutil

from benchmarks.fault import Fault, FaultError, Scene
from benchmarks.held_lock import HeldLock
from benchmarks.workers import Workers

_LOCKS = ("LOCK TABLE stock IN EXCLUSIVE MODE", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")


class PostgresPool(Fault):
    """As when a migration takes its lock. It bites where so much is asked for that the pool of a worker runs out."""

    hurts = "postgres"

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._lock = HeldLock(scene.database_url)
        self._workers = Workers(scene)

    def inject(self) -> None:
        self._lock.take(_LOCKS, {})
        self.began_ns = time.monotonic_ns()

    def bite(self) -> str | None:
        sessions = self._lock.sessions()
        if not any(each.waits_for_us for each in sessions):
            return None
        pools = [sessions]  # seen through the proxy, whose session is whose can't be told
        with contextlib.suppress(psutil.Error, FaultError):
            ports = self._workers.ports()
            pools += [[each for each in sessions if each.port in of_worker] for of_worker in ports]
        for pool in pools:
            if pool and all(each.waits for each in pool):
                return f"all {len(pool)} connections of {'the app' if pool is sessions else 'a worker'} wait for a lock"
        return None

    def heal(self) -> None:
        self._lock.release()

    def healed(self) -> str | None:
        return "the locks are held no longer" if self._lock.released() else None
