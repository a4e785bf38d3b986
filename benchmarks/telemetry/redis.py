"""Redis: operations, memory, clients, and the counter of the sale where its strategy declares one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import redis

from benchmarks.telemetry.source import Reading
from flashbench.evidence.documents import CounterDeclaration

_LIMIT_S = 0.06  # a Redis that hangs must not hold up the other sources
_METRICS = {
    b"total_commands_processed": "commands",
    b"used_memory": "memory_bytes",
    b"blocked_clients": "blocked_clients",
    b"connected_clients": "connections",
}
_FIELD = re.compile(rb"^(" + b"|".join(_METRICS) + rb"):(\d+)", re.MULTILINE)
_SECTIONS = (("INFO", "stats"), ("INFO", "memory"), ("INFO", "clients"))


class Redis:
    """Totals since the server's start, the state of the moment, and the sale's counter, if there is one.

    ``up`` is 0 while it does not answer. Of each SKU, ``remaining`` and, where the counter knows them, ``held`` units.
    """

    name = "redis"

    def __init__(self, url: str, sale_id: str, skus: Sequence[str], counter: CounterDeclaration | None) -> None:
        # A bare connection: the client would make a dictionary of every one of the server's two hundred figures.
        self._pool = redis.ConnectionPool.from_url(
            url, socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S, client_name="flashbench"
        )
        self._connection: Any = None  # its methods have no types
        self._skus = skus if counter is not None else ()
        self._commands: list[tuple[str, ...]] = [*_SECTIONS]
        if counter is not None:
            fields = [field for field in (counter.remaining_field, counter.held_field) if field is not None]
            keys = [counter.key.format(sale_id=sale_id, sku=sku) for sku in skus]
            self._commands += [("HMGET", key, *fields) if fields else ("GET", key) for key in keys]

    def read(self) -> Iterable[Reading]:
        try:
            answers = self._ask()
        except redis.RedisError:
            self.close()
            yield Reading("", "up", 0.0)
            return
        yield Reading("", "up", 1.0)
        for section in answers[: len(_SECTIONS)]:
            for name, value in _FIELD.findall(section if isinstance(section, bytes) else b""):
                yield Reading("", _METRICS[name], float(value))
        for sku, answer in zip(self._skus, answers[len(_SECTIONS) :], strict=True):
            values = answer if isinstance(answer, list) else [answer]
            for metric, value in zip(("remaining", "held"), values, strict=False):
                if isinstance(value, bytes):
                    yield Reading(sku, metric, float(value))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _ask(self) -> list[Any]:
        """The answers in order, an error as itself; RedisError if Redis does not answer."""
        if self._connection is None:
            connection: Any = self._pool.make_connection()
            connection.connect()
            self._connection = connection
        self._connection.send_packed_command(self._connection.pack_commands(self._commands))
        return [self._answer() for _ in self._commands]

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:  # such as that it is still loading
            return error
