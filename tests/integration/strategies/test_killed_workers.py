"""Real workers are killed between two steps of a purchase. If these fail, a kill -9 loses a unit or an order, or locks
a product for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import redis

from flashbench.services import Stack, StackRequest
from flashbench.target.http import HttpTarget
from flashbench.target.protocol import Answer, PurchaseOrder
from flashbench.trial.plan import sale_of
from flashbench.vocabulary import Outcome
from tests.arming import arm, taken
from tests.waiting import until

LEASE_S = 3.0  # of locks and holds
STOCK = 4
App = tuple[Stack, Path]


@pytest.fixture(scope="module")
def app(stores: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Two workers over the session's stores, and the folder of their failpoints."""
    folder = tmp_path_factory.mktemp("failpoints")
    request = StackRequest(
        database_url=stores.info.database_url,
        redis_url=stores.info.redis_url,
        app_environment={"TARGET_APP_FAILPOINTS": str(folder)},
    )
    with Stack.start(request, progress=lambda _: None) as stack:
        yield stack, folder


def decided(target: HttpTarget, order: PurchaseOrder) -> Answer:
    """The answer to an order, tried until it is one."""
    answers = [target.buy(order)]

    def known() -> bool:
        if answers[-1].outcome in (Outcome.UNKNOWN, Outcome.FAILED):
            answers.append(target.buy(order))
        return answers[-1].outcome in (Outcome.SOLD, Outcome.SOLD_OUT)

    assert until(known, 10.0), answers
    return answers[-1]


@pytest.mark.parametrize(
    ("strategy", "point"),
    [
        ("row_lock", "before_commit"),
        ("row_lock", "after_commit"),
        ("redis_lock", "after_hold"),
        ("redis_lock", "before_release"),
        ("redis_lua", "after_hold"),
        ("redis_lua", "after_commit"),
    ],
)
def test_a_worker_that_is_killed_between_two_steps_loses_nothing(app: App, strategy: str, point: str) -> None:
    stack, folder = app
    assert stack.info.base_url is not None
    before = set(taken(folder, point))
    with (
        HttpTarget(stack.info.base_url, stack.info.admin_token) as target,
        redis.Redis.from_url(stack.info.redis_url) as client,
    ):
        sale = target.open(sale_of(strategy, skus=1, stock=STOCK, per_user_limit=0))
        orders = [PurchaseOrder(sale.sale_id, "sku-1", 1, user, uuid4().bytes) for user in range(STOCK + 2)]
        arm(folder, point, "kill")

        assert target.buy(orders[0]).outcome is Outcome.UNKNOWN

        (dead,) = set(taken(folder, point)) - before
        assert until(lambda: not psutil.pid_exists(dead), 5.0)
        again = decided(target, orders[0])
        assert again.outcome is Outcome.SOLD
        assert again.replayed is (point in ("after_commit", "before_release"))
        answers = [decided(target, order) for order in orders[1:]]
        assert [answer.outcome for answer in answers].count(Outcome.SOLD) == STOCK - 1
        assert answers[-1].outcome is Outcome.SOLD_OUT
        sold = {again.order_id, *(answer.order_id for answer in answers if answer.outcome is Outcome.SOLD)}
        assert {row.order_id for row in target.ledger(sale.sale_id)} == sold

        locks = [key.format(sale_id=sale.sale_id, sku="sku-1") for key in sale.lock_keys]
        assert bool(locks) == (strategy == "redis_lock")
        assert until(lambda: not any(client.exists(lock) for lock in locks), LEASE_S + 0.5)

        def agree() -> bool:
            (stock,) = target.stock(sale.sale_id)
            return stock.postgres_remaining == 0 and not stock.redis_remaining and not stock.redis_held

        assert until(agree, LEASE_S + 3.0)
