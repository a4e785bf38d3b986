"""Buys as fast as it can, with and without recording: ``python -m benchmarks.cost.recording_probe``.

Arguments: base URL, folder, number of pairs, seconds a slice. It prints a line of JSON a pair, then one of totals.
The buyers, Locust's statistics and the reading of answers are the real ones; only the record is left out of the one
half. Each half comes first in every other pair, so that drift hits both alike.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import psutil  # noqa: E402

from benchmarks.cost.slices import slice_of  # noqa: E402
from flashbench.evidence.records import TRY_STRUCT  # noqa: E402
from flashbench.load.worker import LoadWorker, OpenTry  # noqa: E402
from flashbench.target.protocol import Answer  # noqa: E402


class Unrecorded(LoadWorker):
    """Knows what is in flight, as every worker does, but keeps no record."""

    def keep(self, entry: OpenTry, answer: Answer, returned_ns: int | None) -> None:
        self._open.discard(entry)


def main(host: str, folder: Path, pairs: int, seconds: float) -> None:
    """Measure and print."""
    logging.getLogger().setLevel(logging.ERROR)  # Locust warns of a busy CPU, which is the point here
    me = psutil.Process(os.getpid())
    for kind in (LoadWorker, Unrecorded):  # warm-up
        slice_of(kind, host, folder, 9000 + (kind is Unrecorded), min(1.0, seconds))
    tries, before_bytes = 0, me.memory_info().rss
    for pair in range(pairs):
        found: dict[str, float] = {}
        halves = [("recorded", LoadWorker), ("unrecorded", Unrecorded)]
        for place, (name, kind) in enumerate(halves if pair % 2 == 0 else halves[::-1]):
            done, spent_s = slice_of(kind, host, folder, 2 * pair + place, seconds)
            found[name], found[f"{name}_cpu_us"] = done / seconds, 1e6 * spent_s / max(done, 1)
            tries += done if kind is LoadWorker else 0
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    grown = max(0, me.memory_info().rss - before_bytes)
    totals = {"tries": tries, "grown_bytes": grown, "bytes_a_try": TRY_STRUCT.size}
    sys.stdout.write(json.dumps(totals) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
