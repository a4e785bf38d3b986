"""A slice of a measurement: buyers who buy as fast as they can for some seconds. Import it after gevent's patch."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import gevent
from locust import task
from locust.env import Environment

from flashbench.load.briefing import Briefing, clock_name, new_nonce
from flashbench.load.buyer import Buyer
from flashbench.load.worker import LoadWorker

BUYERS = 32


class ProbeBuyer(Buyer):
    """Buys again at once."""

    @task
    def buy(self) -> None:
        self.purchase(self.turn())


def slice_of(
    kind: type[LoadWorker], host: str, folder: Path, label: int, seconds: float, sale_id: str = "probe"
) -> tuple[int, float]:
    """Purchases and CPU seconds of this process in one slice."""
    briefing = Briefing(
        trial="probe",
        nonce=new_nonce(),
        folder=str(folder),
        clock=clock_name(),
        sale_id=sale_id,
        skus=["sku-1"],
        quantity=1,
        most_quantity=0,
        tabs=1,
        seed=label,
        attempts=0,
        think_ms=0.0,
        twin_share=0.0,
        read_share=0.0,
        arrivals_per_s=1.0,
        target={},
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
