"""Buys as fast as it can, with and without recording: ``python -m benchmarks.cost.recording_probe``.

Arguments: base URL, folder, number of pairs, seconds a slice. It prints a line of JSON a pair, then one of totals.
The buyers, Locust's statistics and the reading of answers are the real ones; only the record is left out of the one
half. Each half comes first in every other pair, so that drift hits both alike.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import gc  # noqa: E402 - nothing may be imported before the patch
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import psutil  # noqa: E402
from locust import task  # noqa: E402
from locust.env import Environment  # noqa: E402

from flashbench.evidence.records import TRY_STRUCT  # noqa: E402
from flashbench.load.briefing import Briefing, clock_name, new_nonce  # noqa: E402
from flashbench.load.buyer import Buyer  # noqa: E402
from flashbench.load.worker import LoadWorker, OpenTry  # noqa: E402
from flashbench.target.protocol import Answer  # noqa: E402

BUYERS = 32


class Unrecorded(LoadWorker):
    """Knows what is in flight, as every worker does, but keeps no record."""

    def keep(self, entry: OpenTry, answer: Answer, returned_ns: int | None) -> None:
        self._open.discard(entry)


class ProbeBuyer(Buyer):
    """Buys again at once."""

    @task
    def buy(self) -> None:
        self.purchase(self.turn())


def slice_of(kind: type[LoadWorker], host: str, folder: Path, label: int, seconds: float) -> tuple[int, float]:
    """Purchases and CPU seconds of this process in one slice."""
    briefing = Briefing(
        trial="probe",
        nonce=new_nonce(),
        folder=str(folder),
        clock=clock_name(),
        sale_id=f"probe-{label}",
        skus=["sku-1"],
        quantity=1,
        seed=label,
        attempts=0,
        think_ms=0.0,
        twin_share=0.0,
        read_share=0.0,
        arrivals_per_s=1.0,
    )
    ProbeBuyer.host = host
    environment = Environment(user_classes=[ProbeBuyer])
    environment.create_local_runner()
    Buyer.load = worker = kind(briefing, label, folder, lambda: None)
    buyers = [ProbeBuyer(environment) for _ in range(BUYERS)]
    worker.release(time.monotonic_ns())
    gc.collect()
    before_s = time.process_time()
    running = [gevent.spawn(buyer.run) for buyer in buyers]
    gevent.sleep(seconds)
    done, spent_s = environment.stats.total.num_requests, time.process_time() - before_s
    worker.close()
    gevent.joinall(running, timeout=10)
    if environment.stats.total.num_failures or not done:
        raise RuntimeError(f"of {done} purchases {environment.stats.total.num_failures} failed: nothing was measured")
    return done, spent_s


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
