"""If these fail, a promotion loses nothing, or failing back loses something."""

from __future__ import annotations

import pytest
import redis

from benchmarks.fault import FaultError, Scene, fault_class
from benchmarks.probes import redis_client, redis_life
from flashbench.services import StackInfo
from flashbench.services.control import Control, Order
from flashbench.services.proxy.plan import through
from tests.integration.faults.shop import lasting, scene, selling, until_shown


@pytest.fixture
def stack(proxied_stack: StackInfo) -> StackInfo:
    return proxied_stack


def by_the_link(where: Scene) -> str:
    return through(where.redis_url, int(where.links.proxy.place("redis").rpartition(":")[2]))


def test_writes_are_lost_at_the_promotion_and_none_at_the_failing_back(stack: StackInfo) -> None:
    where = scene(stack)
    assert where.replica_url is not None
    promotion = fault_class("redis_promotion")(where, {"behind_s": 0.2})
    primary = redis_life(where.redis_url)
    with redis_client(where.redis_url) as client:
        client.set("test:early", 1)
    promotion.prepare()
    assert promotion.bite() is None
    promotion.inject()
    assert until_shown(promotion.bite)
    assert redis_life(by_the_link(where)) == redis_life(where.replica_url) != primary
    with redis_client(by_the_link(where)) as client:
        assert client.get("test:early") == "1"
        client.set("test:meanwhile", 1)

    promotion.heal()
    assert until_shown(promotion.healed)

    assert redis_life(by_the_link(where)) == primary
    with redis_client(by_the_link(where)) as client:
        assert client.get("test:meanwhile") == "1"
        client.set("test:late", 1)
        assert client.wait(1, 5000) == 1
    with redis_client(where.replica_url) as replica:
        assert replica.get("test:late") == "1"


def test_a_promotion_under_load_bites_and_sales_go_on_when_it_is_healed(stack: StackInfo) -> None:
    for _ in range(2):
        with selling(stack) as shop:
            with lasting("redis_promotion", scene(stack, shop.sale_id), behind_s=0.2) as shown:
                assert "connections are on it" in shown
                shop.sells()
            shop.sells()


def test_after_a_promotion_a_redis_that_is_killed_comes_back_empty(stack: StackInfo) -> None:
    where = scene(stack)
    with lasting("redis_promotion", where, behind_s=0.1), redis_client(by_the_link(where)) as client:
        client.set("test:known", 1)
    with lasting("redis_kill", where):
        pass
    with redis_client(where.redis_url) as client:
        assert client.get("test:known") is None


def test_a_replica_that_is_away_can_not_be_promoted(stack: StackInfo) -> None:
    where = scene(stack)
    order = Control(stack.control)
    promotion = fault_class("redis_promotion")(where)
    order("replica", Order.HANG)
    try:
        with pytest.raises((FaultError, redis.RedisError)):
            promotion.prepare()
    finally:
        order("replica", Order.RESUME)
    promotion.heal()
    assert until_shown(promotion.healed)
