"""If these fail, a fault of Redis is not what it says: it is not there, is not seen, or is not gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
import redis

from benchmarks.fault import fault_class
from benchmarks.probes import redis_answers, redis_client, redis_life, redis_snapshot_file
from flashbench.services import StackInfo
from flashbench.services.control import Control, Order
from tests.integration.faults.shop import lasting, scene, selling, until_shown

EVERY = ["redis_kill", "redis_hang", "redis_restart", "redis_rollback", "redis_pause", "redis_flush"]
EVERY += ["redis_script_flush", "redis_full"]


@pytest.fixture
def stack(faulty_stack: StackInfo) -> StackInfo:
    return faulty_stack


@pytest.fixture
def key() -> str:
    return f"test:{uuid4().hex}"


@pytest.mark.parametrize("name", EVERY)
def test_a_fault_of_redis_bites_under_load_and_sales_go_on_when_it_is_healed(stack: StackInfo, name: str) -> None:
    with selling(stack) as shop:
        with lasting(name, scene(stack, shop.sale_id)):
            pass
        shop.sells()
    assert redis_answers(stack.redis_url)


@pytest.mark.parametrize("name", ["redis_kill", "redis_restart", "redis_flush"])
def test_what_redis_knew_is_gone(stack: StackInfo, key: str, name: str) -> None:
    with redis_client(stack.redis_url) as client:
        client.set(key, "known")
    with lasting(name, scene(stack)):
        pass
    with redis_client(stack.redis_url) as client:
        assert client.get(key) is None


@pytest.mark.parametrize("name", ["redis_hang", "redis_pause", "redis_script_flush", "redis_full"])
def test_what_redis_knew_is_still_known(stack: StackInfo, key: str, name: str) -> None:
    life = redis_life(stack.redis_url)
    with redis_client(stack.redis_url) as client:
        client.set(key, "known")
    with lasting(name, scene(stack)):
        pass
    assert redis_life(stack.redis_url) == life
    with redis_client(stack.redis_url) as client:
        assert client.get(key) == "known"


def test_a_rollback_brings_back_what_was_there_at_the_release_and_leaves_no_snapshot(
    stack: StackInfo, key: str
) -> None:
    rollback = fault_class("redis_rollback")(scene(stack))
    with redis_client(stack.redis_url) as client:
        client.set(key, 10)
        folder = redis_snapshot_file(client).parent
        rollback.prepare()
        client.decr(key)
        with lasting("redis_kill", scene(stack)):
            pass
    with redis_client(stack.redis_url) as client:
        assert client.get(key) is None, "a snapshot that was taken must not be found by others"
        client.set(key, 1)

    rollback.inject()
    assert until_shown(rollback.bite)
    rollback.heal()
    assert until_shown(rollback.healed)

    with redis_client(stack.redis_url) as client:
        assert client.get(key) == "10"
    assert list(folder.glob("dump*")) == []


def test_a_rollback_that_never_comes_leaves_no_snapshot_either(stack: StackInfo) -> None:
    rollback = fault_class("redis_rollback")(scene(stack))
    rollback.prepare()
    rollback.heal()
    with redis_client(stack.redis_url) as client:
        assert list(redis_snapshot_file(client).parent.glob("dump*")) == []


def test_a_pause_holds_up_commands_that_stand_in_line_and_lets_them_go_on(stack: StackInfo, key: str) -> None:
    with redis_client(stack.redis_url, limit_s=5.0) as waiting:
        waiting.set(key, 1)
        connection = waiting.connection_pool.make_connection()
        connection.connect()
        with lasting("redis_pause", scene(stack)):
            connection.send_command("INCR", key)
            assert not connection.can_read(timeout=0.3), "it was executed all the same"
        assert connection.read_response() == 2
        connection.disconnect()


def test_a_pause_ends_with_a_redis_that_was_killed_meanwhile(stack: StackInfo) -> None:
    with lasting("redis_pause", scene(stack)):
        Control(stack.control)("redis", Order.KILL)
        Control(stack.control)("redis", Order.START)


def test_a_full_redis_answers_reads_and_refuses_writes_and_scripts_that_write(stack: StackInfo, key: str) -> None:
    with redis_client(stack.redis_url) as client:
        client.set(key, "kept")
        with lasting("redis_full", scene(stack)) as shown:
            assert "refused" in shown
            assert client.get(key) == "kept"
            with pytest.raises(redis.ResponseError, match="used memory"):
                client.eval("return redis.call('SET', KEYS[1], 'more')", 1, key)
        client.set(key, "more")


def test_scripts_are_not_known_by_their_names_any_more(stack: StackInfo) -> None:
    with redis_client(stack.redis_url) as client:
        name = client.script_load("return 42")
        with lasting("redis_script_flush", scene(stack)), pytest.raises(redis.exceptions.NoScriptError):
            client.evalsha(name, 0)


@pytest.mark.parametrize("name", EVERY)
def test_a_fault_that_finds_redis_away_is_refused_or_does_not_bite_and_is_healed_with_it(
    stack: StackInfo, name: str
) -> None:
    order: Callable[[str, Order], int] = Control(stack.control)
    order("redis", Order.KILL)
    fault = fault_class(name)(scene(stack))
    began_s = time.monotonic()
    try:
        for step in (fault.prepare, fault.inject):
            try:
                step()
            except (redis.RedisError, OSError):
                break
    finally:
        order("redis", Order.START)
    fault.heal()
    assert until_shown(fault.healed)
    assert time.monotonic() - began_s < 10
