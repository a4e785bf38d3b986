"""If these fail, a fault does not take a server away as it says, or a server that died stays away for good."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from flashbench.services import Stack, StackRequest
from flashbench.services.control import Control, Order, OrderRefusedError
from tests.waiting import until


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


def postgres_answers(stack: Stack) -> bool:
    try:
        psycopg.connect(stack.info.database_url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def postmaster(stack: Stack) -> int:
    with psycopg.connect(stack.info.database_url) as connection:
        (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        return int(psutil.Process(backend).ppid())


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


def test_a_redis_comes_back_with_the_snapshot_that_lies_in_its_folder(
    stack: Stack, order: Callable[[Order], int]
) -> None:
    with client(stack) as connection:
        connection.flushall()
        connection.set("kept", "then")
        connection.save()
        connection.set("kept", "later")
        snapshot = Path(connection.config_get("dir")["dir"]) / "dump.rdb"

    order(Order.KILL)
    order(Order.START)

    with client(stack) as connection:
        assert connection.get("kept") == b"then"
    snapshot.unlink()
    order(Order.KILL)
    order(Order.START)
    with client(stack) as connection:
        assert connection.dbsize() == 0


def test_postgres_is_shut_down_at_once_and_comes_back_with_what_was_committed(stack: Stack) -> None:
    control, url = Control(stack.info.control), stack.info.database_url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        connection.commit()
        pid = postmaster(stack)
        connection.execute("INSERT INTO kept VALUES (2)")

        killed_ns = control("postgres", Order.KILL)

        assert not psutil.pid_exists(pid)
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    assert not until(lambda: postgres_answers(stack), limit_s=3.0), "it came back by itself"
    assert control("postgres", Order.START) > killed_ns
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
    assert postmaster(stack) != pid
    assert control("postgres", Order.START) > killed_ns, "it runs, so there is nothing to do"


def test_a_postgres_that_is_killed_by_somebody_comes_back_by_itself(stack: Stack) -> None:
    pid = postmaster(stack)
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not postgres_answers(stack))
    assert until(lambda: postgres_answers(stack))
    assert postmaster(stack) != pid


def test_a_postgres_can_not_be_hung_and_says_so(stack: Stack) -> None:
    with pytest.raises(OrderRefusedError, match="Postgres can't be told to hang"):
        Control(stack.info.control)("postgres", Order.HANG)


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
        Control(stack.info.control)("replica", Order.KILL)
    with pytest.raises(OrderRefusedError, match="does not answer"):
        Control("127.0.0.1:1/secret")("redis", Order.KILL)
    assert answers(stack)
