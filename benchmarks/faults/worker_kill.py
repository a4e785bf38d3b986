"""One of the app's workers is killed (SIGKILL), and replaced by a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil

from benchmarks.fault import Fault, Part, Scene
from benchmarks.workers import Workers, gone


class WorkerKill(Fault):
    """Whatever it had under way ends where it was: locks, holds and transactions have lost their owner."""

    hurts = "app"
    takes = frozenset({Part.WORKERS})
    ends = frozenset({"app"})
    heals_in_s = 1.4
    momentary = True

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._workers = Workers(scene)
        self._killed: psutil.Process | None = None

    def inject(self) -> None:
        victim = self._workers.one(0)
        victim.kill()
        self._killed = victim

    def bite(self) -> str | None:
        if self._killed is None or not gone(self._killed):
            return None
        return f"the process of a worker, {self._killed.pid}, is gone"

    def heal(self) -> None:
        """The app's own parent process starts another."""

    def healed(self) -> str | None:
        if self._killed is None:
            return "no worker was killed"
        return "every worker is there and ready, a new one among them" if self._workers.all_ready() else None
