"""The app's breaker per worker, purchases in flight and database reads, from the files in which its workers count.

Asking ``/metrics`` ten times a second would cost the app some per cent of its time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from benchmarks.telemetry.source import Reading

_METRICS = {
    "target_app_breaker_state": "breaker_state",
    "target_app_in_flight": "in_flight",
    "target_app_database_reads_total": "database_reads",
}
_PATTERNS = ("gauge_live*_*.db", "counter_*.db")
_LOOK_EVERY_NS = 1_000_000_000  # how often new workers are looked for
_VALUE = struct.Struct("d")


class App:
    """``breaker_state``: 0 closed, 1 half open, 2 open. ``database_reads``: of products, since the worker's start.

    ``folder`` is the workers' PROMETHEUS_MULTIPROC_DIR. A worker that was killed is left out from the next look on.
    """

    name = "app"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked_ns = 0
        self._files: list[_Counted] = []

    def read(self) -> Iterable[Reading]:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _LOOK_EVERY_NS:
            self._looked_ns = now_ns
            self.close()
            self._files = list(self._find())
        for file in self._files:
            yield from file.read()

    def close(self) -> None:
        """Close the files that are open."""
        for file in self._files:
            file.close()
        self._files = []

    def _find(self) -> Iterable[_Counted]:
        for pattern in _PATTERNS:
            for path in sorted(self._folder.glob(pattern)):
                found = re.search(r"_(\d+)\.db$", path.name)
                if found is not None and Path(f"/proc/{found[1]}").exists():
                    with contextlib.suppress(OSError, ValueError, RuntimeError, struct.error):  # gone, or being made
                        yield _Counted(f"worker {found[1]}", str(path))


class _Counted:
    """A worker's file, kept open. A value stays at the place where it was first written: it alone is read again."""

    def __init__(self, worker: str, path: str) -> None:
        self._worker = worker
        values = MmapedDict.read_all_values_from_file(path)
        self._places = [(_METRICS[name], place) for key, _, _, place in values if (name := _name(key)) in _METRICS]
        self._file = os.open(path, os.O_RDONLY)

    def read(self) -> Iterable[Reading]:
        for metric, place in self._places:
            piece = os.pread(self._file, _VALUE.size, place)
            if len(piece) == _VALUE.size:
                yield Reading(self._worker, metric, *_VALUE.unpack(piece))

    def close(self) -> None:
        os.close(self._file)


def _name(key: str) -> str:
    """A sample's, as /metrics has it."""
    return str(json.loads(key)[1])
