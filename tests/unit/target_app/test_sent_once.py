"""A command whose connection breaks is not sent again: a write that was executed would be executed twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from target_app.cache.breaker import BreakerState
from target_app.cache.guarded_redis import BreakerRedis
from target_app.strategies.protocol import RedisAwayError


async def test_a_write_whose_connection_breaks_is_sent_once() -> None:
    received: list[bytes] = []

    async def take_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1000))
        writer.close()
        await writer.wait_closed()

    async def increment(client: Any) -> Any:
        return await client.incr("counted")

    async with await asyncio.start_server(take_and_hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis = BreakerRedis.connect(f"redis://127.0.0.1:{port}", command_timeout_s=0.15, connect_timeout_s=0.15)
        with pytest.raises(RedisAwayError) as caught:
            await redis.call(increment)
        await redis.close()
    assert caught.value.maybe_executed
    assert len(received) == 1
    assert b"INCR" in received[0], "nothing but the command: connecting takes no round trip"


async def test_whoever_accepts_but_never_answers_costs_the_limit_of_one_command() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis = BreakerRedis.connect(f"redis://127.0.0.1:{port}", command_timeout_s=0.1, connect_timeout_s=5.0)
        started_s = asyncio.get_running_loop().time()
        with pytest.raises(RedisAwayError) as caught:
            await redis.call(lambda client: client.ping())
        assert 0.09 < asyncio.get_running_loop().time() - started_s < 1.0
        await redis.close()
    assert caught.value.maybe_executed


async def test_without_the_breaker_every_call_waits_for_its_own_limit() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redis = BreakerRedis.connect(
            f"redis://127.0.0.1:{port}", command_timeout_s=0.01, connect_timeout_s=5.0, breaks=False
        )
        for _ in range(30):
            with pytest.raises(RedisAwayError) as caught:
                await redis.call(lambda client: client.ping())
            assert caught.value.maybe_executed, "it was sent"
        assert redis.available
        assert redis.breaker.state is BreakerState.CLOSED
        await redis.close()
