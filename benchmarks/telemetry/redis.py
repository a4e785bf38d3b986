"""Redis: operations, memory, clients, and the counter of the sale where its strategy declares one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis

from benchmarks.telemetry.source import Reading
from flashbench.evidence.documents import CounterDeclaration

_LIMIT_S = 0.06  # a Redis that hangs must not hold up the other sources
_METRICS = {
    "total_commands_processed": "commands",
    "used_memory": "memory_bytes",
    "blocked_clients": "blocked_clients",
    "connected_clients": "connections",
}


class _Client:
    """A connection that is made anew when it was lost."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_LIMIT_S,
            socket_connect_timeout=_LIMIT_S,
            decode_responses=True,
            client_name="flashbench",
        )

    def pipeline(self, *commands: Sequence[str]) -> list[Any] | None:
        """The answers; None if Redis does not answer."""
        try:
            with self._redis.pipeline(transaction=False) as opened:
                pipe: Any = opened  # its methods have no types
                for command in commands:
                    pipe.execute_command(*command)
                return list(pipe.execute(raise_on_error=False))
        except redis.RedisError:
            return None

    def close(self) -> None:
        self._redis.close()


class Redis:
    """Totals since the server's start, and the state of the moment. ``up`` is 0 while it does not answer."""

    name = "redis"

    def __init__(self, url: str) -> None:
        self._client = _Client(url)

    def read(self) -> Iterable[Reading]:
        answers = self._client.pipeline(("INFO", "stats"), ("INFO", "memory"), ("INFO", "clients"))
        told = [answer for answer in answers or () if isinstance(answer, dict)]
        yield Reading("", "up", float(bool(told)))
        for answer in told:
            yield from (Reading("", name, float(answer[field])) for field, name in _METRICS.items() if field in answer)

    def close(self) -> None:
        self._client.close()


class RedisStock:
    """What is left of each SKU by the strategy's counter, and what is held."""

    name = "stock"

    def __init__(self, url: str, sale_id: str, skus: Sequence[str], counter: CounterDeclaration) -> None:
        self._client = _Client(url)
        self._skus = skus
        self._metrics = ["redis_remaining"] + (["redis_held"] if counter.held_field else [])
        fields = [field for field in (counter.remaining_field, counter.held_field) if field is not None]
        keys = [counter.key.format(sale_id=sale_id, sku=sku) for sku in skus]
        self._commands = [("HMGET", key, *fields) if fields else ("GET", key) for key in keys]

    def read(self) -> Iterable[Reading]:
        answers = self._client.pipeline(*self._commands) or ()
        for sku, answer in zip(self._skus, answers, strict=False):
            values = answer if isinstance(answer, list) else [answer]
            for metric, value in zip(self._metrics, values, strict=False):
                if isinstance(value, str):
                    yield Reading(sku, metric, float(value))

    def close(self) -> None:
        self._client.close()
