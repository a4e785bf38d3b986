"""If these fail, a fault of the network is not what it says: it is not there, not seen, or not gone afterwards."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import redis

from benchmarks.fault import Scene, fault_class
from benchmarks.links import Links
from benchmarks.probes import postgres_session, redis_client
from flashbench.services import StackInfo
from flashbench.services.proxy.plan import through
from tests.integration.faults.shop import lasting, scene, selling, until_shown
from tests.timing import least_s, taken_s

STORES = pytest.mark.parametrize("store", ["redis", "postgres"])
EVERY: list[tuple[str, dict[str, Any]]] = [
    ("net_latency", {"latency_ms": 5.0, "jitter_ms": 2.0}),
    ("net_blackhole", {}),
    ("net_reset", {}),
    ("net_cut", {"after_bytes": 500}),
    ("net_drop_reply", {"ending": "reset"}),
    ("net_drop_reply", {"ending": "silence", "share": 0.5}),
]


@pytest.fixture
def stack(proxied_stack: StackInfo) -> StackInfo:
    return proxied_stack


def over(where: Scene, store: str) -> str:
    """The URL of a store as the app has it."""
    url = where.redis_url if store == "redis" else where.database_url
    return through(url, int(where.links.proxy.place(store).rpartition(":")[2]))


@STORES
@pytest.mark.parametrize(("name", "options"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_of_a_link_bites_under_load_and_sales_go_on_when_it_is_healed(
    stack: StackInfo, store: str, name: str, options: dict[str, Any]
) -> None:
    with selling(stack) as shop:
        with lasting(name, scene(stack, shop.sale_id), store=store, **options):
            pass
        shop.sells()


@pytest.mark.parametrize(("name", "options"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_link_to_redis_that_nobody_uses_shows_the_fault_too(
    stack: StackInfo, name: str, options: dict[str, Any]
) -> None:
    with lasting(name, scene(stack), store="redis", **options):
        pass


def test_an_answer_is_thrown_away_only_where_the_request_matches_and_the_deed_is_done(stack: StackInfo) -> None:
    where = scene(stack)
    with redis_client(where.redis_url) as direct, redis_client(over(where, "redis")) as client:
        with lasting("net_drop_reply", where, store="redis", matching="INCR", ending="reset"):
            assert client.set("test:dropped", 1)
            with pytest.raises(redis.ConnectionError):
                client.incr("test:dropped")
        assert direct.get("test:dropped") == "2"


def test_the_answer_to_a_commit_can_be_thrown_away(stack: StackInfo) -> None:
    where = scene(stack)
    with selling(stack, "row_lock") as shop:
        with (
            lasting("net_drop_reply", scene(stack, shop.sale_id), store="postgres", matching="COMMIT"),
            psycopg.connect(over(where, "postgres"), autocommit=True) as session,
        ):
            assert session.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 'COMMIT'")
        shop.sells()


@pytest.mark.alone
def test_what_a_slow_link_takes_longer_is_what_was_asked_for(stack: StackInfo) -> None:
    where = scene(stack)
    with redis_client(over(where, "redis")) as client:
        client.ping()
        with lasting("net_latency", where, store="redis", latency_ms=60.0):
            assert 0.12 <= taken_s(client.ping) < 1.0


def test_faults_of_one_link_at_once_leave_it_as_it_was(stack: StackInfo) -> None:
    where = scene(stack)
    slow = fault_class("net_latency")(where, {"store": "redis", "latency_ms": 60.0})
    reset = fault_class("net_reset")(where, {"store": "redis"})
    for fault in (slow, reset):
        fault.inject()
        assert until_shown(fault.bite)
    reset.heal()
    assert until_shown(reset.healed)
    with redis_client(over(where, "redis")) as client:
        client.ping()
        assert taken_s(client.ping) >= 0.12, "the end of one fault ended the other"
        slow.heal()
        assert least_s(client.ping, 5) < 0.12
    assert until_shown(slow.healed)


def test_the_harness_reaches_the_stores_past_every_fault(stack: StackInfo) -> None:
    where = scene(stack)
    with lasting("net_blackhole", where, store="redis"), redis_client(where.redis_url) as client:
        assert client.ping()
    hole = fault_class("net_blackhole")(where, {"store": "postgres"})
    hole.inject()
    with postgres_session(where.database_url) as session:
        assert session.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    hole.heal()
    assert until_shown(hole.healed)


def test_links_are_shared_by_all_faults_of_a_scene(stack: StackInfo) -> None:
    where = scene(stack)
    assert isinstance(where.links, Links)
    assert where.links is where.links
