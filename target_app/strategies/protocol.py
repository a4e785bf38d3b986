"""What a stock-deduction strategy is: the one module that a strategy of your own imports.

A strategy is a class with a ``name``, made once per worker process with that worker's ``Resources``::

    class Mine(Strategy):
        name = "mine"

        async def buy(self, purchase: Purchase) -> Result:
            return await self.resources.ledger.commit(purchase)

Key, limit and stock are the strategy's business, in one atomic step; ``ledger.commit`` is the guarded transaction
that does all three. A strategy that writes its own SQL gets no protection from the ledger's constraints.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One SKU of a sale; ``price`` in the currency's minor unit."""

    sku: str
    stock: int
    price: int


@dataclass(frozen=True, slots=True)
class Sale:
    """An immutable definition. ``per_user_limit`` 0 means no limit."""

    sale_id: UUID
    strategy: str
    items: Mapping[str, Item]
    per_user_limit: int


@dataclass(frozen=True, slots=True)
class Purchase:
    """One request, validated: the SKU exists, the quantity is at least 1. ``came_s`` is when, by ``time.monotonic``."""

    sale: Sale
    sku: str
    quantity: int
    user_id: str
    key: str
    came_s: float = field(default_factory=time.monotonic, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sold:
    """The order is committed. ``remaining`` and ``seq`` are null if the strategy keeps no per-SKU row."""

    order_id: UUID
    remaining: int | None
    seq: int | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class SoldOut:
    """A claim that fewer than ``quantity`` units remain. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Limited:
    """The user's limit would be passed. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No decision. ``no_effect`` only if provably nothing was written; otherwise the outcome is unknown."""

    reason: str
    no_effect: bool
    retry_after_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Fenced:
    """Refused by the stock row's fence: a later lock holder has already written. Nothing was written."""

    stored: int


Result: TypeAlias = Sold | SoldOut | Limited | Unavailable


class KeyReusedError(Exception):
    """The idempotency key belongs to an order with another SKU, quantity or user."""


class RedisAwayError(Exception):
    """Redis did not answer: connection refused, time-out, or the circuit breaker is open.

    ``maybe_executed`` is False only where the command was certainly not sent.
    """

    def __init__(self, reason: str, *, maybe_executed: bool) -> None:
        super().__init__(reason)
        self.maybe_executed = maybe_executed


@dataclass(frozen=True, slots=True)
class StockRow:
    """A SKU's row in Postgres."""

    sku: str
    initial: int
    remaining: int
    seq: int
    fence: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What a strategy's own counter says of one SKU; None where there is no such counter, or Redis is away."""

    remaining: int | None
    held: int | None = None


class Ledger(Protocol):
    """The durable record of sales in Postgres."""

    async def commit(self, purchase: Purchase) -> Result:
        """The guarded transaction: lock the stock row, key, limit, stock, update, insert, commit.

        Unavailable, with nothing written, once too much time has passed since the purchase came. May raise
        KeyReusedError.
        """

    async def commit_fenced(self, purchase: Purchase, fence: int) -> Result | Fenced:
        """The same, refused unless ``fence`` is greater than the row's stored fence, which it then replaces."""

    async def record(
        self,
        connection: Any,
        purchase: Purchase,
        *,
        remaining: int | None = None,
        seq: int | None = None,
        fence: int | None = None,
    ) -> UUID:
        """Insert an order on a connection, and in the transaction, of your own; the new order's id.

        Nothing is checked: key, limit and stock are the caller's business. ``seq`` is the order's place among the
        sales of its SKU, to be left out unless it is the order in which they took effect.
        """

    async def find(self, sale: Sale, key: str) -> tuple[Purchase, Sold] | None:
        """The order made with ``key``, as a replay, with what was bought.

        Look-ups of one loop turn share a statement.
        """

    async def stock_rows(self, sale: Sale, skus: Sequence[str] | None = None) -> list[StockRow]:
        """Fresh rows, all SKUs of the sale unless named; raises DatabaseAwayError if Postgres does not answer."""

    async def bought(self, sale: Sale) -> Mapping[str, int]:
        """Settled quantity per user, from committed orders."""


class DatabaseAwayError(Exception):
    """Postgres did not answer a read within its limit."""


class Database(Protocol):
    """The worker's Postgres pool behind its bulkhead, timed for Server-Timing."""

    def connection(self) -> AbstractAsyncContextManager[Any]:
        """An ``asyncpg.Connection`` for a purchase; DatabaseAwayError if none is free within the limit."""


class GuardedRedis(Protocol):
    """The worker's Redis behind its time limit and circuit breaker, timed for Server-Timing."""

    async def call(self, command: Callable[[Any], Awaitable[T]]) -> T:
        """Run one command, ``await command(client)``, never retried; RedisAwayError if it did not answer in time.

        ``client`` is a ``redis.asyncio.Redis``. An error reply by Redis (``ResponseError``) passes through.
        """

    def listen(self, channel: str, hear: Callable[[bytes], None]) -> None:
        """Hand every message on a pub/sub channel to ``hear``, from now on; best effort, for waking those who wait.

        Needs a running event loop.
        """

    @property
    def available(self) -> bool:
        """False while the breaker is open: a call would fail at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The time limits and lease lengths that strategies obey, in seconds."""

    wait_s: float = 0.3  # for a lock, or for holds to settle, before the guarded path
    lock_lease_s: float = 3.0  # longer than the statement time-out
    hold_lease_s: float = 3.0  # after which the reaper may give a hold back
    statement_timeout_s: float = 1.5
    commit_s: float = 2.8  # the guarded transaction, the wait for a connection included; shorter than the leases
    retention_s: float = 24 * 3600.0  # how long a sale's own keys live in Redis


Reach: TypeAlias = Callable[[str], Awaitable[None]]
"""Comes to a named point between the steps of a purchase, where a test may have it end, wait or fail.

``after_hold`` and ``before_commit`` are for a purchase that has written nothing yet, ``after_commit`` and
``before_release`` for one that has.
"""


async def unarmed(point: str) -> None:
    """No failpoint: nothing is looked at, nothing happens."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a strategy may use. One set per worker process; a worker never shares it."""

    database: Database
    ledger: Ledger
    redis: GuardedRedis
    limits: Limits
    reach: Reach = unarmed


@dataclass(frozen=True, slots=True)
class CounterKey:
    """Where the stock counter lives in Redis, for anyone who checks it: a hash, or a string without field names.

    ``template`` has ``{sale_id}`` and ``{sku}``.
    """

    template: str
    remaining_field: str | None = None
    held_field: str | None = None


class Strategy(ABC):
    """Base of every strategy. Only ``name`` and ``buy`` are required."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    counter: ClassVar[CounterKey | None] = None
    declared_keys: ClassVar[Sequence[str]] = ()  # patterns of Redis keys that live as long as their sale
    lock_keys: ClassVar[Sequence[str]] = ()  # templates, with {sale_id} and {sku}, of the locks that it takes in Redis

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    async def open(self, sale: Sale) -> None:
        """A sale was created (in one worker only); the rows are already in Postgres. Must survive Redis being away."""

    @abstractmethod
    async def buy(self, purchase: Purchase) -> Result:
        """Decide one purchase. May raise KeyReusedError; must not raise RedisAwayError."""

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        """The strategy's own counter per SKU, for admin reads; empty if it keeps none."""
        return {}

    async def reconcile(self, sale: Sale) -> None:
        """Make the counter agree with the ledger, without stopping sales."""

    async def close(self) -> None:
        """The worker stops: end background tasks."""
