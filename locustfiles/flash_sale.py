"""A flash sale: everyone waits at the barrier, and at one moment everyone buys.

    locust -f locustfiles/flash_sale.py --headless -u 200 -r 200 -t 10s --strategy row_lock --stock 100

Without --host it starts Postgres, Redis and the reference app for itself. Add --twin-share 0.2 to send every fifth
purchase twice at once, --skus 10 for a sale with one hot product among ten.
"""

from locust import events, task

from flashbench.load import Buyer, install
from reports import Judge, describe

install(events, judge=Judge(), describe=describe, scenario="flash_sale")


class FlashSaleBuyer(Buyer):
    """Buys, thinks, and buys again."""

    @task
    def buy(self) -> None:
        self.purchase(self.turn())
