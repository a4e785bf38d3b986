"""A worker's Redis behind a time limit and a circuit breaker. A command is sent once and never retried."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - Redis' own
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004 - Redis' own
)

from target_app.cache.breaker import CircuitBreaker
from target_app.strategies.protocol import RedisAwayError
from target_app.timing import spent

T = TypeVar("T")

UNANSWERED = (ConnectionError, TimeoutError, OSError)
REFUSED = (BusyLoadingError, MasterDownError, OutOfMemoryError, ReadOnlyError)  # answered, but Redis can't serve
MOST_AT_ONCE = 64  # commands, and so connections, of one worker
QUEUE_LIMIT_S = 1.0
LATE_S = 0.02  # a timer that fires so late shows that the worker was busy, not that Redis was slow


class BreakerRedis:
    """Redis for strategies and cache. Without a URL it is always away."""

    def __init__(
        self, client: redis_asyncio.Redis | None, *, command_timeout_s: float, breaker: CircuitBreaker
    ) -> None:
        self._client = client
        self._command_timeout_s = command_timeout_s
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self.breaker = breaker

    @classmethod
    def connect(cls, url: str | None, *, command_timeout_s: float, connect_timeout_s: float) -> BreakerRedis:
        """Never fails: connections are made when they are needed."""
        client = None
        if url is not None:
            client = redis_asyncio.Redis.from_url(
                url,
                socket_connect_timeout=connect_timeout_s,
                socket_timeout=None,  # the limit of a command is kept here
                retry=Retry(NoBackoff(), 0),
                retry_on_error=[],
                health_check_interval=0,
                max_connections=MOST_AT_ONCE + 8,
            )
        return cls(client, command_timeout_s=command_timeout_s, breaker=CircuitBreaker(random.Random()))

    @property
    def available(self) -> bool:
        """False while a call would fail at once."""
        return self._client is not None and self.breaker.would_admit(time.monotonic())

    async def call(self, command: Callable[[Any], Awaitable[T]], *, extra_s: float = 0.0) -> T:
        """Run one command within the limit. ``extra_s`` is for a command that blocks on purpose.

        RedisAwayError if it was not answered; an error that Redis itself answers passes through.
        """
        if self._client is None:
            raise RedisAwayError("there is no Redis", maybe_executed=False)
        await self._enter()
        try:
            ticket = self.breaker.admit(time.monotonic())
            if ticket is None:
                raise RedisAwayError("the circuit breaker is open", maybe_executed=False)
            with spent("redis"):
                return await self._send(command, self._client, ticket, self._command_timeout_s + extra_s)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _enter(self) -> None:
        if not self.available:  # before standing in line
            raise RedisAwayError("the circuit breaker is open", maybe_executed=False)
        try:
            async with asyncio.timeout(QUEUE_LIMIT_S):
                await self._places.acquire()
        except builtin_timeout:
            raise RedisAwayError("too many commands wait for Redis", maybe_executed=False) from None

    async def _send(
        self, command: Callable[[Any], Awaitable[T]], client: redis_asyncio.Redis, ticket: int, limit_s: float
    ) -> T:
        loop = asyncio.get_running_loop()
        learned = False
        try:
            async with asyncio.timeout(None) as limit:
                timer = _Timer(loop, limit, limit_s)
                try:
                    answer = await command(client)
                finally:
                    timer.cancel()
        except REFUSED as error:
            learned = True
            self.breaker.succeeded(ticket, time.monotonic())
            raise RedisAwayError(f"Redis can't serve: {error}", maybe_executed=False) from error
        except (*UNANSWERED, builtin_timeout) as error:
            learned = True
            self.breaker.failed(ticket, time.monotonic())
            raise RedisAwayError(f"no answer: {type(error).__name__}", maybe_executed=True) from error
        except redis_asyncio.RedisError:
            learned = True
            self.breaker.succeeded(ticket, time.monotonic())
            raise
        else:
            learned = True
            self.breaker.succeeded(ticket, time.monotonic())
            return answer
        finally:
            if not learned:
                self.breaker.abandoned(ticket)


builtin_timeout = asyncio.TimeoutError  # the language's own, whose name Redis' shadows here


class _Timer:
    """Ends a wait after its limit; once longer if the event loop was too busy to notice the answer in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: asyncio.Timeout, limit_s: float) -> None:
        self._loop = loop
        self._limit = limit
        self._limit_s = limit_s
        self._due_s = loop.time() + limit_s
        self._extended = False
        self._handle = loop.call_at(self._due_s, self._expire)

    def cancel(self) -> None:
        self._handle.cancel()

    def _expire(self) -> None:
        now_s = self._loop.time()
        if now_s - self._due_s > LATE_S and not self._extended:
            self._extended = True
            self._due_s = now_s + self._limit_s
            self._handle = self._loop.call_at(self._due_s, self._expire)
        else:
            self._limit.reschedule(now_s)
