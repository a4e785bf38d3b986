"""Messages of one pub/sub channel, for waking those who wait. Best effort: whoever waits has a limit of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import redis.asyncio as redis_asyncio
from redis.exceptions import RedisError

from target_app.cache.closed_transport import closed_is_lost

SILENCE_S = 1.0  # without a message; then Redis is asked whether it is there
RETRY_MIN_S, RETRY_MAX_S = 0.3, 0.6


class Listener:
    """One connection and one task, from ``start`` until ``close``; it comes back by itself when Redis does."""

    def __init__(self, client: redis_asyncio.Redis, channel: str, hear: Callable[[bytes], None]) -> None:
        self._client = client
        self._channel = channel
        self._hear = hear
        self._task: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    def start(self) -> None:
        """Begin to listen in a task of the listener's own."""
        self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """End the task and its connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError), closed_is_lost():
                await self._listen_once()
            self.listening.clear()
            await asyncio.sleep(random.uniform(RETRY_MIN_S, RETRY_MAX_S))

    async def _listen_once(self) -> None:
        """Until the connection fails, or is silent for too long even when asked."""
        async with self._client.pubsub() as pubsub:
            async with asyncio.timeout(SILENCE_S):
                await pubsub.subscribe(self._channel)
            asked = False
            while True:
                message = await pubsub.get_message(timeout=SILENCE_S)
                if message is None:
                    if asked:
                        return
                    asked = True
                    await pubsub.ping()
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self.listening.set()
                elif message["type"] == "message":
                    self._hear(message["data"])
