"""The app's breaker per worker, and purchases in flight, read from the gauges that its workers keep in shared files.

Asking ``/metrics`` ten times a second would cost the app some per cent of its time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from benchmarks.telemetry.source import Reading

_GAUGES = {"target_app_breaker_state": "breaker_state", "target_app_in_flight": "in_flight"}


class App:
    """``breaker_state``: 0 closed, 1 half open, 2 open. ``folder`` is the workers' PROMETHEUS_MULTIPROC_DIR."""

    name = "app"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Iterable[Reading]:
        for path in sorted(self._folder.glob("gauge_live*_*.db")):
            found = re.search(r"_(\d+)\.db$", path.name)
            if found is None or not Path(f"/proc/{found[1]}").exists():
                continue
            try:
                values = list(MmapedDict.read_all_values_from_file(str(path)))
            except (OSError, ValueError, RuntimeError):
                continue  # it was being made
            for key, value, *_ in values:
                metric = _GAUGES.get(json.loads(key)[0])
                if metric is not None:
                    yield Reading(f"worker {found[1]}", metric, float(value))

    def close(self) -> None:
        """Nothing to let go of."""
