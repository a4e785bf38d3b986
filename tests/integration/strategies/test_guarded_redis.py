"""A worker's way to Redis: one reply to one question, each in time, and nothing sent twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import redis.asyncio as redis_asyncio
from redis.exceptions import ResponseError

from flashbench.services import Stack
from target_app.cache.breaker import BreakerState
from target_app.cache.guarded_redis import MOST_AT_ONCE, BreakerRedis
from target_app.strategies.protocol import RedisAwayError
from target_app.strategies.redis_lock.strategy import RELEASE
from tests.waiting import eventually

PATIENT_S = 10.0  # where a limit that a busy machine can exceed is not what the test is about


@asynccontextmanager
async def guarded(
    url: str | None, *, command_timeout_s: float = PATIENT_S, connect_timeout_s: float = PATIENT_S
) -> AsyncIterator[BreakerRedis]:
    redis = BreakerRedis.connect(url, command_timeout_s=command_timeout_s, connect_timeout_s=connect_timeout_s)
    try:
        yield redis
    finally:
        await redis.close()


@contextmanager
def stopped(stores: Stack) -> Iterator[None]:
    """Redis hangs: connections stand, nothing is answered, until the end."""
    pid = stores.info.redis.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def echo(text: str) -> Any:
    async def command(client: Any) -> Any:
        return await client.echo(text)

    return command


@pytest.mark.alone
async def test_every_reply_answers_its_own_question_after_time_outs_and_cancellations(redis_url: str) -> None:
    """A connection lent again with a reply still to come would hand one buyer's answer to another."""
    rng = random.Random(3)
    async with guarded(redis_url, command_timeout_s=0.004) as redis, redis_asyncio.Redis.from_url(redis_url) as other:
        answered = failed = 0

        async def ask(number: int) -> None:
            nonlocal answered, failed
            try:
                reply = await redis.call(echo(f"question {number}"))
            except RedisAwayError:
                failed += 1
            else:
                assert reply == f"question {number}".encode()
                answered += 1

        for wave in range(40):
            if wave % 4 == 0:
                await other.client_pause(8, all=True)
            tasks = [asyncio.create_task(ask(wave * 100 + number)) for number in range(20)]
            for task in tasks:
                if rng.random() < 0.3:
                    asyncio.get_running_loop().call_later(rng.uniform(0, 0.004), task.cancel)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), results
        assert answered > 50
        assert failed > 10


async def test_cancelled_calls_do_not_use_up_the_connections(redis_url: str) -> None:
    async with guarded(redis_url) as redis:
        for _ in range(4):
            tasks = [asyncio.create_task(redis.call(echo("x"))) for _ in range(MOST_AT_ONCE)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        replies = await asyncio.gather(*(redis.call(echo("y")) for _ in range(MOST_AT_ONCE * 2)))
        assert set(replies) == {b"y"}


@pytest.mark.alone
async def test_a_hung_redis_costs_one_limit_and_then_nothing(stores: Stack, redis_url: str) -> None:
    async with guarded(redis_url, command_timeout_s=0.15, connect_timeout_s=0.15) as redis:
        await redis.call(echo("warm"))
        with stopped(stores):
            started_s = time.monotonic()
            results = await asyncio.gather(*(redis.call(echo("x")) for _ in range(30)), return_exceptions=True)
            assert all(isinstance(result, RedisAwayError) for result in results), results
            assert time.monotonic() - started_s < 1.0
            assert redis.breaker.state is BreakerState.OPEN
            started_s = time.monotonic()
            with pytest.raises(RedisAwayError) as caught:
                await redis.call(echo("x"))
            assert not caught.value.maybe_executed
            assert time.monotonic() - started_s < 0.1
        await eventually(lambda: answers(redis))
        assert redis.available


async def answers(redis: BreakerRedis) -> bool:
    try:
        return bool(await redis.call(echo("x")) == b"x")
    except RedisAwayError:
        return False


async def test_a_timed_out_write_is_sent_once(stores: Stack, redis_url: str) -> None:
    async with guarded(redis_url, command_timeout_s=0.5) as redis:

        async def increment(client: Any) -> Any:
            return await client.incr("counted")

        async def read(client: Any) -> Any:
            return await client.get("counted")

        assert await redis.call(increment) == 1
        with stopped(stores), pytest.raises(RedisAwayError) as caught:
            await redis.call(increment)
        assert caught.value.maybe_executed
        await eventually(lambda: answers(redis))
        assert int(await redis.call(read)) in (1, 2)


async def test_a_refused_connection_has_provably_done_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with guarded(f"redis://127.0.0.1:{unused.getsockname()[1]}") as redis:
            with pytest.raises(RedisAwayError) as caught:
                await redis.call(echo("x"))
            assert not caught.value.maybe_executed


async def test_without_a_url_redis_is_away() -> None:
    async with guarded(None) as redis:
        assert not redis.available
        redis.listen("channel", lambda _: None)
        with pytest.raises(RedisAwayError):
            await redis.call(echo("x"))


async def test_idle_connections_that_redis_closed_cost_no_call(redis_url: str) -> None:
    """After a restart every pooled connection is dead; that must not look like a dead Redis."""
    async with guarded(redis_url) as redis, redis_asyncio.Redis.from_url(redis_url) as other:
        await asyncio.gather(*(redis.call(echo("x")) for _ in range(20)))
        await other.client_kill_filter(_type="normal", skipme=True)

        async def drained() -> bool:
            return len(await other.client_list(_type="normal")) == 1

        await eventually(drained)
        await asyncio.sleep(0)
        replies = await asyncio.gather(*(redis.call(echo("y")) for _ in range(20)))
        assert set(replies) == {b"y"}


async def test_scripts_survive_script_flush_and_foreign_data(redis_url: str) -> None:
    async with guarded(redis_url) as redis, redis_asyncio.Redis.from_url(redis_url) as other:
        assert await RELEASE.run(redis, ("lock",), ("me", "channel")) == 0
        await other.script_flush()
        assert await RELEASE.run(redis, ("lock",), ("me", "channel")) == 0
        await other.hset("lock", "not", "a string")
        with pytest.raises(RedisAwayError, match=r"refused release\.lua"):
            await RELEASE.run(redis, ("lock",), ("me", "channel"))
        assert redis.breaker.state is BreakerState.CLOSED


async def test_an_error_reply_passes_through_and_is_an_answer(redis_url: str) -> None:
    async with guarded(redis_url) as redis:
        for _ in range(30):
            with pytest.raises(ResponseError):
                await redis.call(lambda client: client.execute_command("NOSUCHCOMMAND"))
        assert redis.breaker.state is BreakerState.CLOSED


async def test_a_listener_comes_back_by_itself(redis_url: str) -> None:
    heard: list[bytes] = []
    async with guarded(redis_url) as redis, redis_asyncio.Redis.from_url(redis_url) as other:
        redis.listen("news", heard.append)

        async def hears(text: str) -> bool:
            await other.publish("news", text)
            return text.encode() in heard

        await eventually(lambda: hears("one"))
        await other.client_kill_filter(_type="pubsub")
        await eventually(lambda: hears("two"))
