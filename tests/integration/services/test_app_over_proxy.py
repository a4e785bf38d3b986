"""If these fail, a Postgres that crashes takes the app with it for good, or orders that a buyer was told of."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from benchmarks.fault import Scene
from benchmarks.workers import Workers
from flashbench.evidence.documents import SaleItem, SaleSpec
from flashbench.services import Stack, StackRequest
from flashbench.services.control import Control, Order
from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.control import ProxyControl
from flashbench.target.http import HttpTarget
from flashbench.target.protocol import PurchaseOrder
from flashbench.vocabulary import Outcome
from tests.waiting import until

BUYERS = 6
PAUSE_S = 0.01
BACK_LIMIT_S = 3.0
_OF_WORKERS = ("control", "redis_url", "database_url", "base_url", "app_pid", "app_workers")


class Crowd:
    """Buyers of one sale, each with one purchase after the other, and what each key was told."""

    def __init__(self, target: HttpTarget, sale_id: str) -> None:
        self._target, self._sale_id = target, sale_id
        self._stop = threading.Event()
        self.told: dict[str, Outcome] = {}

    def buy_until_stopped(self, user: int) -> None:
        while not self._stop.wait(PAUSE_S):
            key = uuid4()
            answer = self._target.buy(PurchaseOrder(self._sale_id, "sku-1", 1, user, key.bytes))
            self.told[key.hex] = answer.outcome

    @contextmanager
    def buying(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.buy_until_stopped, args=(user,)) for user in range(BUYERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def hears(self, answers: int) -> bool:
        """Whether so many more are given, of whatever kind."""
        before = len(self.told)
        return until(lambda: len(self.told) >= before + answers)

    def sold(self) -> int:
        return Counter(self.told.copy().values())[Outcome.SOLD]

    def goes_on(self) -> bool:
        """Whether sales are made, from this moment."""
        before = self.sold()
        return until(lambda: self.sold() >= before + 2 * BUYERS, BACK_LIMIT_S)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack.start(StackRequest(proxied=True, failpoints=True), progress=lambda _: None) as stack:
        yield stack


@pytest.fixture
def target(stack: Stack) -> Iterator[HttpTarget]:
    assert stack.info.base_url is not None
    with HttpTarget(stack.info.base_url, stack.info.admin_token) as target:
        yield target


def crowd(target: HttpTarget, strategy: str) -> tuple[Crowd, str]:
    items = (SaleItem(sku="sku-1", stock=1_000_000, price=100),)
    sale_id = target.open(SaleSpec(strategy=strategy, items=items)).sale_id
    return Crowd(target, sale_id), sale_id


@pytest.mark.alone
@pytest.mark.parametrize("strategy", ["row_lock", "redis_lock", "redis_lua"])
def test_after_a_crash_of_postgres_the_app_sells_again_and_no_acknowledged_order_is_lost(
    stack: Stack, target: HttpTarget, strategy: str
) -> None:
    control = Control(stack.info.control)
    buyers, sale_id = crowd(target, strategy)
    with buyers.buying():
        for _ in range(2):
            assert buyers.goes_on()
            control("postgres", Order.KILL)
            assert buyers.hears(5 * BUYERS)
            control("postgres", Order.START)
        assert buyers.goes_on(), Counter(list(buyers.told.values())[-200:])

    ledger = {row.key for row in target.ledger(sale_id)}
    sold, unknown = (
        {key for key, outcome in buyers.told.items() if outcome is one} for one in (Outcome.SOLD, Outcome.UNKNOWN)
    )
    assert sold - ledger == set(), "lost"
    assert ledger - sold - unknown == set(), "sold to buyers who were told that nothing happened"
    assert set(buyers.told.values()) <= {Outcome.SOLD, Outcome.FAILED, Outcome.UNKNOWN}
    assert all(ready(stack) for _ in range(20))


@pytest.mark.alone
@pytest.mark.parametrize("link", ["redis", "postgres"])
def test_the_app_reaches_its_stores_through_the_proxy_and_sells_again_when_the_way_is_free(
    stack: Stack, target: HttpTarget, link: str
) -> None:
    assert stack.info.proxy is not None
    proxy = ProxyControl(stack.info.proxy)
    buyers, sale_id = crowd(target, "redis_lua")
    with buyers.buying():
        assert buyers.goes_on()
        assert proxy.counts(link).bytes_down > 0
        for shows, disturbance in (
            ("held_bytes", Behaviour(blackhole=True)),
            ("refused", Behaviour(refuse=True)),
            ("dropped_replies", Behaviour(drop_reply=True, matching="COMMIT" if link == "postgres" else "EVALSHA")),
        ):
            proxy.behave(link, disturbance)
            assert until(partial(has_shown, proxy, link, shows)), shows
            assert buyers.hears(BUYERS)
            proxy.behave(link, Behaviour())
            assert until(buyers.goes_on), shows

    ledger = {row.key for row in target.ledger(sale_id)}
    assert {key for key, outcome in buyers.told.items() if outcome is Outcome.SOLD} - ledger == set()


@pytest.mark.alone
@pytest.mark.parametrize(
    "behaviour",
    [
        *(Behaviour(cut_after_bytes=after) for after in (500, 1000, 1500)),
        Behaviour(drop_reply=True, matching="CREATE"),
        Behaviour(drop_reply=True, matching="CREATE", ending="silence"),
    ],
    ids=str,
)
def test_a_worker_that_starts_over_a_broken_link_waits_for_a_whole_one(stack: Stack, behaviour: Behaviour) -> None:
    """One that gave up would take all the others with it: uvicorn ends when a worker fails to start."""
    assert stack.info.app_pid is not None
    assert stack.info.proxy is not None
    proxy, head = ProxyControl(stack.info.proxy), psutil.Process(stack.info.app_pid)
    workers = Workers(Scene(**{field: getattr(stack.info, field) for field in _OF_WORKERS}))
    proxy.behave("postgres", behaviour)
    victim = workers.one(0)
    spoilt = proxy.counts("postgres").cut + proxy.counts("postgres").dropped_replies
    victim.kill()
    assert until(lambda: proxy.counts("postgres").cut + proxy.counts("postgres").dropped_replies >= spoilt + 2)

    proxy.behave("postgres", Behaviour())

    assert until(workers.all_ready), "the app's workers are not back"
    assert head.is_running()


def test_the_app_is_told_where_its_failpoints_are_armed(stack: Stack) -> None:
    assert stack.info.app_pid is not None
    assert stack.info.failpoints is not None
    assert psutil.Process(stack.info.app_pid).environ()["TARGET_APP_FAILPOINTS"] == stack.info.failpoints
    assert list(Path(stack.info.failpoints).iterdir()) == []


def has_shown(proxy: ProxyControl, link: str, count: str) -> bool:
    return int(getattr(proxy.counts(link), count)) > 0


def ready(stack: Stack) -> bool:
    with httpx.Client(trust_env=False) as client:  # a new connection, so that any worker may take it
        return client.get(f"{stack.info.base_url}/readyz").status_code == 200
