"""The drain finds what the load left behind. If it stops early, a leak or a lost unit goes unseen."""

import threading
import time
from collections import Counter

import pytest

from flashbench.evidence.documents import SaleSpec
from flashbench.evidence.records import TryRecord
from flashbench.target.protocol import Answer, PurchaseOrder
from flashbench.trial.drain import FIRST_USER, MANY_WITHOUT_SALE, SURPLUS, Clock, DrainLimits, drain
from flashbench.trial.plan import sale_of
from flashbench.vocabulary import Outcome

QUICK = DrainLimits(parallel=32, decided_within_s=0.2, whole_s=20.0)


class Shop:
    """A target in memory that sells what it has, and notes how it was asked."""

    def __init__(self, stock: int, skus: int = 1) -> None:
        self.stock = {f"sku-{number}": stock for number in range(1, skus + 1)}
        self.lock = threading.Lock()
        self.inside = 0
        self.most_inside = 0
        self.users: list[int] = []
        self.keys: list[bytes] = []

    def buy(self, order: PurchaseOrder) -> Answer:
        with self.lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.users.append(order.user)
            self.keys.append(order.key)
        time.sleep(0.001)
        with self.lock:
            self.inside -= 1
            return self.decide(order)

    def decide(self, order: PurchaseOrder) -> Answer:
        if self.stock[order.sku] < order.quantity:
            return Answer(Outcome.SOLD_OUT, 409)
        self.stock[order.sku] -= order.quantity
        return Answer(Outcome.SOLD, 201, order_id=f"o{len(self.keys)}")


class Kept:
    def __init__(self) -> None:
        self.records: list[TryRecord] = []

    def record_try(self, record: TryRecord) -> None:
        self.records.append(record)


def sale(skus: int = 1, stock: int = 100) -> SaleSpec:
    return sale_of("any", skus=skus, stock=stock, per_user_limit=0)


def test_everything_is_bought_under_contention_until_refused() -> None:
    class Crowded(Shop):
        """Answers nobody before 32 buyers are there at once."""

        crowd = threading.Barrier(32, timeout=10.0)
        gathered = False

        def buy(self, order: PurchaseOrder) -> Answer:
            if not self.gathered:
                self.crowd.wait()
                self.gathered = True
            return super().buy(order)

    shop, kept = Crowded(100, skus=3), Kept()
    result = drain(shop, "s", sale(3), 1, kept, limits=QUICK)
    assert set(shop.stock.values()) == {0}
    assert result.sold_units == 300
    assert result.problems == []
    assert shop.gathered
    refused = {record.sku for record in kept.records if record.outcome is Outcome.SOLD_OUT}
    assert refused == {0, 1, 2}


def test_every_attempt_has_a_fresh_user_and_key() -> None:
    shop, kept = Shop(50), Kept()
    drain(shop, "s", sale(), 1, kept, limits=QUICK)
    assert len(set(shop.users)) == len(shop.users)
    assert len(set(shop.keys)) == len(shop.keys)
    assert min(shop.users) >= FIRST_USER
    assert Counter(record.try_number for record in kept.records) == {0: len(kept.records)}


def test_less_than_the_quantity_may_remain() -> None:
    shop, kept = Shop(10), Kept()
    result = drain(shop, "s", sale(stock=10), 3, kept, limits=QUICK)
    assert shop.stock["sku-1"] == 1
    assert result.sold_units == 9
    assert result.problems == []


def test_units_that_are_held_for_a_moment_are_found() -> None:
    class Holding(Shop):
        """Refuses while anyone else is inside, as a counter with leaked or live holds would."""

        def decide(self, order: PurchaseOrder) -> Answer:
            return super().decide(order) if self.inside == 0 else Answer(Outcome.SOLD_OUT, 409)

    shop = Holding(20)
    result = drain(shop, "s", sale(stock=20), 1, Kept(), limits=QUICK)
    assert shop.stock["sku-1"] == 0
    assert result.problems == []


def test_an_answer_that_decides_nothing_is_tried_again_with_the_same_key() -> None:
    class Flaky(Shop):
        def decide(self, order: PurchaseOrder) -> Answer:
            if self.keys.count(order.key) < 2:
                return Answer(Outcome.UNKNOWN, 503, retry_after_s=0.0)
            return super().decide(order)

    shop, kept = Flaky(5), Kept()
    result = drain(shop, "s", sale(stock=5), 1, kept, limits=DrainLimits(whole_s=20.0))
    assert shop.stock["sku-1"] == 0
    assert result.problems == []
    assert max(record.try_number for record in kept.records) == 1
    for key in set(shop.keys):
        assert len({record.attempt for record in kept.records if record.key == key}) == 1


def test_a_target_that_never_decides_is_left_alone_and_said() -> None:
    class Mute(Shop):
        def decide(self, order: PurchaseOrder) -> Answer:
            return Answer(Outcome.UNKNOWN)

    kept = Kept()
    result = drain(Mute(5), "s", sale(), 1, kept, limits=DrainLimits(decided_within_s=0.01, whole_s=20.0))
    assert len(result.problems) == 1
    assert "decide nothing" in result.problems[0]
    assert len({record.attempt for record in kept.records}) >= MANY_WITHOUT_SALE
    assert all(record.returned_ns is None for record in kept.records)


def test_an_endless_seller_does_not_hang_the_drain() -> None:
    class Endless(Shop):
        def decide(self, order: PurchaseOrder) -> Answer:
            return Answer(Outcome.SOLD, 201, order_id="o")

    result = drain(Endless(5), "s", sale(stock=5), 1, Kept(), limits=QUICK)
    assert 5 + SURPLUS < result.sold_units < 5 + SURPLUS + 64
    assert "never refused" in result.problems[0]


def test_running_out_of_time_is_a_problem_for_every_sku_left() -> None:
    ticks = iter(range(0, 10**15, 10**9))
    lock = threading.Lock()

    def now_ns() -> int:
        with lock:
            return next(ticks)

    limits = DrainLimits(parallel=2, whole_s=30.0)
    result = drain(Shop(10**6, skus=2), "s", sale(2, 10**6), 1, Kept(), limits=limits, clock=Clock(now_ns, time.sleep))
    assert len(result.problems) == 2
    assert "took longer than 30 s" in result.problems[0]


def test_haste_ends_it_at_once() -> None:
    shop = Shop(10**6)
    result = drain(shop, "s", sale(stock=10**6), 1, Kept(), limits=QUICK, hurry=lambda: len(shop.keys) > 100)
    assert "interrupted" in result.problems[0]
    assert len(shop.keys) < 200


def test_a_bug_in_the_target_is_not_swallowed() -> None:
    class Broken(Shop):
        def decide(self, order: PurchaseOrder) -> Answer:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drain(Broken(1), "s", sale(), 1, Kept(), limits=QUICK)
