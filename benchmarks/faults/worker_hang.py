"""One of the app's workers hangs (SIGSTOP): its connections stand, nothing is answered; then it goes on (SIGCONT)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import psutil

from benchmarks.fault import Fault, Part, Scene
from benchmarks.workers import Workers


class WorkerHang(Fault):
    """As by a long pause of its machine. It wakes up in the middle of what it did, and leases may have run out."""

    hurts = "app"
    takes = frozenset({Part.WORKERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._workers = Workers(scene)
        self._stopped: psutil.Process | None = None

    def inject(self) -> None:
        victim = self._workers.one(-1)
        victim.suspend()
        self._stopped = victim

    def bite(self) -> str | None:
        if self._stopped is None or self._stopped.status() != psutil.STATUS_STOPPED:
            return None
        return f"the process of a worker, {self._stopped.pid}, is stopped"

    def heal(self) -> None:
        if self._stopped is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._stopped.resume()

    def healed(self) -> str | None:
        if self._stopped is None:
            return "no worker was stopped"
        return "every worker is there and ready" if self._workers.all_ready() else None
