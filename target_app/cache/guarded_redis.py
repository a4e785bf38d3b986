"""A worker's Redis behind its time limits and a circuit breaker. A command is sent once and never retried.

What redis-py 8 does unless told otherwise, and must not do here: ten retries of every command, writes included; limits
of 5 s; RESP3, with a handshake of several round trips on connecting, and without the check for a reply left over on an
idle connection. A connection whose reply was not read to its end is closed by redis-py, never lent again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio as redis_asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from target_app.cache.breaker import NEVER_OPENS, BreakerLimits, CircuitBreaker
from target_app.cache.closed_transport import closed_is_lost
from target_app.cache.listener import Listener
from target_app.strategies.protocol import RedisAwayError
from target_app.timing import spent

T = TypeVar("T")

UNANSWERED = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)
REFUSED = (BusyLoadingError, MasterDownError, OutOfMemoryError, ReadOnlyError)  # answered, but Redis can't serve
MOST_AT_ONCE = 64  # commands, and so connections, of one worker
QUEUE_LIMIT_S = 0.3
LATE_S = 0.02  # a timer that fires so late shows that the worker was busy, not that Redis was slow
GRACE_S = 0.05  # to read what has arrived meanwhile


class BreakerRedis:
    """Redis for strategies and cache. Without a URL it is always away."""

    def __init__(
        self,
        client: redis_asyncio.Redis | None,
        *,
        command_timeout_s: float,
        connect_timeout_s: float,
        breaker: CircuitBreaker,
    ) -> None:
        self._client = client
        self._command_timeout_s = command_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._listeners: list[Listener] = []
        self.breaker = breaker

    @classmethod
    def connect(
        cls, url: str | None, *, command_timeout_s: float, connect_timeout_s: float, breaks: bool = True
    ) -> BreakerRedis:
        """Never fails: connections are made when they are needed. ``breaks`` False: the breaker never opens."""
        client = None
        if url is not None:
            client = redis_asyncio.Redis.from_url(
                url,
                protocol=2,
                driver_info=None,  # no CLIENT SETINFO: connecting takes no round trip
                socket_connect_timeout=connect_timeout_s,
                socket_timeout=None,  # the limit of a command is kept here
                retry=Retry(NoBackoff(), 0),
                retry_on_error=[],
                health_check_interval=0,
                max_connections=MOST_AT_ONCE + 8,
            )
        return cls(
            client,
            command_timeout_s=command_timeout_s,
            connect_timeout_s=connect_timeout_s,
            breaker=CircuitBreaker(random.Random(), BreakerLimits() if breaks else NEVER_OPENS),
        )

    @property
    def available(self) -> bool:
        """False while a call would fail at once."""
        return self._client is not None and self.breaker.would_admit(time.monotonic())

    async def call(self, command: Callable[[Any], Awaitable[T]]) -> T:
        """Run one command within the limit.

        RedisAwayError if it was not answered; an error that Redis itself answers passes through. A cancelled call
        may still be executed.
        """
        client = self._client
        if client is None:
            raise RedisAwayError("there is no Redis", maybe_executed=False)
        with spent("redis"):
            await self._enter()
            try:
                ticket = self.breaker.admit(time.monotonic())
                if ticket is None:
                    raise RedisAwayError("the circuit breaker is open", maybe_executed=False)
                return await self._judged(command, client, ticket)
            finally:
                self._places.release()

    def listen(self, channel: str, hear: Callable[[bytes], None]) -> None:
        """Hand every message on a pub/sub channel to ``hear``, from now on, on a connection of its own.

        Messages are lost while Redis or the connection is away. Needs a running event loop.
        """
        if self._client is not None:
            listener = Listener(self._client, channel, hear)
            listener.start()
            self._listeners.append(listener)

    async def close(self) -> None:
        """Close every connection."""
        for listener in self._listeners:
            await listener.close()
        if self._client is not None:
            await self._client.aclose()

    async def _enter(self) -> None:
        if not self.available:  # before standing in line
            raise RedisAwayError("the circuit breaker is open", maybe_executed=False)
        try:
            async with asyncio.timeout(QUEUE_LIMIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise RedisAwayError("too many commands wait for Redis", maybe_executed=False) from None

    async def _judged(self, command: Callable[[Any], Awaitable[T]], client: redis_asyncio.Redis, ticket: int) -> T:
        """Run the command and tell the breaker what came of it."""
        sent = learned = False
        try:
            with closed_is_lost():
                await self._have_connection(client)
                sent = True
                answer = await _within(command(client), self._command_timeout_s)
        except REFUSED as error:
            learned = True
            self.breaker.succeeded(ticket, time.monotonic())
            raise RedisAwayError(f"Redis can't serve: {error}", maybe_executed=False) from error
        except UNANSWERED as error:
            learned = True
            self.breaker.failed(ticket, time.monotonic())
            raise RedisAwayError(f"no answer: {type(error).__name__}", maybe_executed=sent) from error
        except RedisError:
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

    async def _have_connection(self, client: redis_asyncio.Redis) -> None:
        """See that the pool's next connection stands, within the limit for connecting; nothing is sent yet.

        The pool lends what came back last, and nobody else runs before the command takes it.
        """
        pool: Any = client.connection_pool  # its methods have no types
        await pool.release(await _within(pool.get_connection(), self._connect_timeout_s))


async def _within(work: Awaitable[T], limit_s: float) -> T:
    """The work's result; TimeoutError, with the work cancelled, after the limit."""
    loop = asyncio.get_running_loop()
    due_s = loop.time() + limit_s
    async with asyncio.timeout(None) as limit:

        def expire() -> None:
            now_s = loop.time()
            limit.reschedule(now_s + GRACE_S if now_s - due_s > LATE_S else now_s)

        timer = loop.call_at(due_s, expire)
        try:
            return await work
        finally:
            timer.cancel()
