"""Sustained demand: shoppers arrive at a steady rate, whatever the target does, each of them somebody new.

    locust -f locustfiles/sustained.py --headless -u 50 -r 50 -t 10s --arrivals-per-s 100 --stock 2000

Arrivals are a Poisson process that follows from the seed alone, and latency counts from the arrival: a target that
stalls is charged for every shopper whom it keeps waiting. The users given with -u only share out the arrivals.
"""

from locust import events, task

from flashbench.load import Buyer, install
from reports import Judge, describe

install(events, judge=Judge(), describe=describe, scenario="sustained")


class ArrivingBuyer(Buyer):
    """Sends one shopper after the other to the shop, and waits for none of them."""

    @task
    def arrive(self) -> None:
        self.purchase_by_somebody_new(self.arrival())
