"""The app's pool of database connections is exhausted: all that it may use wait for something that does not come.

The stock and orders tables are locked, so that whatever is asked of them waits; plain reads of the stock excepted, so
that it can still be watched.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Annotated, Any

import psutil
from pydantic import Field

from benchmarks.fault import Fault, FaultError, FaultOptions, Scene
from benchmarks.held_lock import HeldLock
from benchmarks.workers import Workers

_LOCKS = ("LOCK TABLE stock IN EXCLUSIVE MODE", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")


class PostgresPool(Fault):
    """As when a migration takes its lock. It bites where so much is asked for that the pool of a worker runs out."""

    hurts = "postgres"

    class Options(FaultOptions):
        """``share`` of a worker's connections that must be seen to wait: an app may keep some from its purchases."""

        share: Annotated[float, Field(ge=0.05, le=1)] = 0.75

    options: Options

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
        pools = {"the app": sessions}  # through a proxy, whose session is whose can't be told
        with contextlib.suppress(psutil.Error, FaultError):
            for number, ports in enumerate(self._workers.ports(), start=1):
                pools[f"worker {number}"] = [each for each in sessions if each.port in ports]
        for owner, pool in pools.items():
            waiting = sum(each.waits for each in pool)
            if pool and waiting >= self.options.share * len(pool):
                return f"{waiting} of the {len(pool)} connections of {owner} wait for a lock"
        return None

    def heal(self) -> None:
        self._lock.release()

    def healed(self) -> str | None:
        return "the locks are held no longer" if self._lock.released() else None
