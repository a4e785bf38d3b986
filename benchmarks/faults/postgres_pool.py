"""The app's pool of database connections is exhausted: all that it may use wait for something that does not come.

The stock and orders tables are locked, so that whatever is asked of them waits; plain reads of the stock excepted, so
that it can still be watched.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import psutil
from pydantic import Field

from benchmarks.fault import Fault, FaultError, FaultOptions, Part, Scene
from benchmarks.held_lock import HeldLock, Waiting
from benchmarks.workers import Workers

_LOCKS = ("LOCK TABLE stock IN EXCLUSIVE MODE", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")


class PostgresPool(Fault):
    """As when a migration takes its lock. It bites where so much is asked for that the pool of a worker runs out."""

    hurts = "postgres"
    takes = frozenset({Part.POSTGRES_LOCK})
    meets = frozenset({Part.POSTGRES_FLOW, Part.POSTGRES_REPLIES})
    relies = frozenset({Part.POSTGRES_ANSWERS, Part.WORKERS})

    class Options(FaultOptions):
        """``share`` of a worker's connections that must be seen to wait: an app may keep some from its purchases."""

        share: Annotated[float, Field(ge=0.05, le=1)] = 0.75

    options: Options

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._lock = HeldLock(scene.database_url)
        self._workers = Workers(scene)
        self._expected = 0  # sessions of the worker that has the most

    def prepare(self) -> None:
        """Sessions that are ended are made again when they are needed: few of them may be a poor part of a pool."""
        self._expected = max(map(len, self._pools(self._lock.sessions()).values()), default=0)

    def inject(self) -> None:
        self._lock.take(_LOCKS, {})
        self.began_ns = time.monotonic_ns()

    def bite(self) -> str | None:
        sessions = self._lock.sessions()
        if not any(each.waits_for_us for each in sessions):
            return None
        for owner, pool in self._pools(sessions).items():
            waiting, size = sum(each.waits for each in pool), max(len(pool), self._expected)
            if waiting and waiting >= self.options.share * size:
                return f"{waiting} of the {size} connections of {owner} wait for a lock"
        return None

    def _pools(self, sessions: Sequence[Waiting]) -> dict[str, list[Waiting]]:
        """By worker; all of them together where a proxy hides whose is whose."""
        found = {}
        with contextlib.suppress(psutil.Error, FaultError):
            for number, ports in enumerate(self._workers.ports(), start=1):
                found[f"worker {number}"] = [each for each in sessions if each.port in ports]
        return found if any(found.values()) else {"the app": list(sessions)}

    def heal(self) -> None:
        self._lock.release()

    def healed(self) -> str | None:
        return "the locks are held no longer" if self._lock.released() else None
