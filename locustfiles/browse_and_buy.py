"""Browse and buy: most visits only look at a product, through the target's cache; the others buy it.

    locust -f locustfiles/browse_and_buy.py --headless -u 200 -r 200 -t 10s --read-share 0.9

The verdict is followed by what the cache did: hit ratio by kind, shielding of the database, staleness.
"""

from locust import events, task

from flashbench.load import Buyer, install
from reports import Judge, describe

install(events, judge=Judge(), describe=describe, scenario="browse_and_buy")


class BrowsingBuyer(Buyer):
    """Comes by, looks, and now and then buys."""

    @task
    def visit(self) -> None:
        intended_ns = self.turn()
        if self.stream.random() < self.read_share:
            self.browse(intended_ns)
        else:
            self.purchase(intended_ns)
