"""If these fail, a fault does not take a server away as it says, or a server that died stays away for good."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
import redis

from flashbench.services import Stack, StackRequest
from flashbench.services.control import Control, Order, OrderRefusedError
from tests.integration.services.test_supervisor import until


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack.start(StackRequest(with_app=False), progress=lambda _: None) as stack:
        yield stack


@pytest.fixture
def order(stack: Stack) -> Callable[[Order], int]:
    control = Control(stack.info.control)
    return lambda order: control("redis", order)


def client(stack: Stack) -> redis.Redis:
    return redis.Redis.from_url(stack.info.redis_url, socket_timeout=0.3, socket_connect_timeout=0.3)


def answers(stack: Stack) -> bool:
    try:
        with client(stack) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False


def server_pid(stack: Stack) -> int:
    with client(stack) as connection:
        return int(connection.info("server")["process_id"])


def test_a_killed_redis_stays_away_until_it_is_ordered_back_empty(stack: Stack, order: Callable[[Order], int]) -> None:
    with client(stack) as connection:
        connection.set("kept", 1)
    pid = server_pid(stack)

    killed_ns = order(Order.KILL)

    assert not psutil.pid_exists(pid)
    assert not until(lambda: answers(stack), limit_s=3.0), "it came back by itself"
    assert order(Order.START) > killed_ns
    with client(stack) as connection:
        assert connection.dbsize() == 0
    assert server_pid(stack) != pid


def test_a_hung_redis_answers_nothing_until_it_is_resumed(stack: Stack, order: Callable[[Order], int]) -> None:
    pid = server_pid(stack)
    order(Order.HANG)
    assert until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    assert not answers(stack)
    order(Order.RESUME)
    assert until(lambda: answers(stack))
    assert server_pid(stack) == pid


def test_a_redis_that_is_killed_by_somebody_comes_back_by_itself(
    stack: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    pid = server_pid(stack)
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not answers(stack))
    assert until(lambda: answers(stack))
    assert server_pid(stack) != pid


def test_a_hung_redis_does_not_keep_the_stack_from_stopping() -> None:
    with Stack.start(StackRequest(with_app=False), progress=lambda _: None) as own:
        pid = server_pid(own)
        Control(own.info.control)("redis", Order.HANG)
    assert not psutil.pid_exists(pid)


def test_only_those_who_know_the_secret_give_orders_and_only_sensible_ones(stack: Stack) -> None:
    place = stack.info.control.partition("/")[0]
    with pytest.raises(OrderRefusedError, match="wrong secret"):
        Control(f"{place}/guess")("redis", Order.KILL)
    with pytest.raises(OrderRefusedError, match="not the harness's own"):
        Control(stack.info.control)("postgres", Order.KILL)
    with pytest.raises(OrderRefusedError, match="does not answer"):
        Control("127.0.0.1:1/secret")("redis", Order.KILL)
    assert answers(stack)
