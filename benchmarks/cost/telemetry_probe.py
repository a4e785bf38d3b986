"""Buys as fast as it can with telemetry awake and asleep: ``python -m benchmarks.cost.telemetry_probe``.

Arguments: base URL, sale's id, folder, telemetry's process, number of pairs, seconds a slice. Prints a line of JSON a
pair. Telemetry is put to sleep by SIGSTOP, so that both halves are of the same sale on the same servers.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402 - nothing may be imported before the patch
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.cost.slices import slice_of  # noqa: E402
from flashbench.load.worker import LoadWorker  # noqa: E402


def main(host: str, sale_id: str, folder: Path, telemetry: int, pairs: int, seconds: float) -> None:
    """Measure and print."""
    logging.getLogger().setLevel(logging.ERROR)  # Locust warns of a busy CPU
    slice_of(LoadWorker, host, folder, 9000, seconds, sale_id)  # warm-up
    for pair in range(pairs):
        found = {}
        halves = [("awake", signal.SIGCONT), ("asleep", signal.SIGSTOP)]
        for place, (name, number) in enumerate(halves if pair % 2 == 0 else halves[::-1]):
            os.kill(telemetry, number)
            done, _ = slice_of(LoadWorker, host, folder, 2 * pair + place, seconds, sale_id)
            found[name] = done / seconds
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    os.kill(telemetry, signal.SIGCONT)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
