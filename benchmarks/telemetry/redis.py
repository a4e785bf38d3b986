"""Redis: operations, memory, clients, and of the sale the counter and the locks that its strategy declares."""

from __future__ import annotations

import re
import time
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
_GONE = -2  # says PTTL of a key that is not there
_NO_LEASE_S = -1.0


class Redis:
    """Totals since the server's start, the state of the moment, and the sale's counter and locks, if there are any.

    ``up`` is 0 while it does not answer. Of each SKU, ``remaining`` and, where the counter knows them, ``held`` units.
    A lock is a string that holds its owner: ``locks_held`` of them at this moment, and of each, by its key,
    ``lock_held_s``, for how long the same owner has been seen, and ``lock_left_s`` of its lease, -1 if it has none.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        sale_id: str,
        skus: Sequence[str],
        counter: CounterDeclaration | None,
        lock_keys: Sequence[str] = (),
    ) -> None:
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
        self._locks = [template.format(sale_id=sale_id, sku=sku) for template in lock_keys for sku in skus]
        self._commands += [(command, lock) for command in ("GET", "PTTL") for lock in self._locks]
        self._packed: Any = None
        self._owners: dict[str, tuple[bytes, int]] = {}  # of a lock, and since when it is known to have it

    def read(self) -> Iterable[Reading]:
        try:
            answers = self._ask()
        except redis.RedisError:
            self.close()
            yield Reading("", "up", 0.0)
            return
        yield Reading("", "up", 1.0)
        sections, of_skus, of_locks = _split(answers, len(_SECTIONS), len(self._skus))
        for section in sections:
            for name, value in _FIELD.findall(section if isinstance(section, bytes) else b""):
                yield Reading("", _METRICS[name], float(value))
        for sku, answer in zip(self._skus, of_skus, strict=True):
            values = answer if isinstance(answer, list) else [answer]
            for metric, value in zip(("remaining", "held"), values, strict=False):
                if isinstance(value, bytes):
                    yield Reading(sku, metric, float(value))
        if self._locks:
            yield from self._held(of_locks, time.monotonic_ns())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _held(self, answers: Sequence[Any], now_ns: int) -> Iterable[Reading]:
        count = len(self._locks)
        before, self._owners = self._owners, {}
        for lock, owner, left_ms in zip(self._locks, answers[:count], answers[count:], strict=True):
            if not isinstance(owner, bytes) or left_ms == _GONE:
                continue  # it is free, has just become so, or is no lock as they are known here
            known = before.get(lock)
            self._owners[lock] = known if known is not None and known[0] == owner else (owner, now_ns)
            yield Reading(lock, "lock_held_s", (now_ns - self._owners[lock][1]) / 1e9)
            if isinstance(left_ms, int):
                yield Reading(lock, "lock_left_s", left_ms / 1e3 if left_ms >= 0 else _NO_LEASE_S)
        yield Reading("", "locks_held", float(len(self._owners)))

    def _ask(self) -> list[Any]:
        """The answers in order, an error as itself; RedisError if Redis does not answer."""
        if self._connection is None:
            connection: Any = self._pool.make_connection()
            connection.connect()
            self._connection = connection
        if self._packed is None:
            self._packed = self._connection.pack_commands(self._commands)
        self._connection.send_packed_command(self._packed)
        return [self._answer() for _ in self._commands]

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as error:  # such as that it is still loading
            return error


def _split(answers: list[Any], *counts: int) -> list[list[Any]]:
    """The first so many, the next so many, and the rest."""
    parts, begin = [], 0
    for count in counts:
        parts.append(answers[begin : begin + count])
        begin += count
    return [*parts, answers[begin:]]
