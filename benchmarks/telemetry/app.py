"""The app's breaker per worker, and purchases in flight, read from the gauges that its workers keep in shared files.

Asking ``/metrics`` ten times a second would cost the app some per cent of its time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from benchmarks.telemetry.source import Reading

_GAUGES = {"target_app_breaker_state": "breaker_state", "target_app_in_flight": "in_flight"}
_LOOK_EVERY_NS = 1_000_000_000  # how often new workers are looked for


class App:
    """``breaker_state``: 0 closed, 1 half open, 2 open. ``folder`` is the workers' PROMETHEUS_MULTIPROC_DIR."""

    name = "app"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked_ns = 0
        self._files: list[tuple[str, str]] = []  # a worker's name, and its file
        self._metrics: dict[str, str | None] = {}  # of a key in a file, the metric it stands for

    def read(self) -> Iterable[Reading]:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _LOOK_EVERY_NS:
            self._looked_ns = now_ns
            self._files = list(self._find())
        for worker, path in self._files:
            try:
                values = list(MmapedDict.read_all_values_from_file(path))
            except (OSError, ValueError, RuntimeError):
                continue  # it is gone, or was being made
            for key, value, *_ in values:
                if key not in self._metrics:
                    self._metrics[key] = _GAUGES.get(json.loads(key)[0])
                metric = self._metrics[key]
                if metric is not None:
                    yield Reading(worker, metric, float(value))

    def close(self) -> None:
        """Nothing to let go of."""

    def _find(self) -> Iterable[tuple[str, str]]:
        for path in sorted(self._folder.glob("gauge_live*_*.db")):
            found = re.search(r"_(\d+)\.db$", path.name)
            if found is not None and Path(f"/proc/{found[1]}").exists():
                yield f"worker {found[1]}", str(path)
