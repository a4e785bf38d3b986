"""What the harness asks of a system under test: open a sale, buy, read, and state its ledger and stock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from flashbench.evidence.documents import CounterDeclaration, SaleSpec, StoreReading
from flashbench.evidence.records import CacheState
from flashbench.vocabulary import Outcome


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """What a buyer wants. ``key`` is the idempotency key: 16 bytes, sent as 32 hexadecimal digits."""

    sale_id: str
    sku: str
    quantity: int
    user: int
    key: bytes

    @property
    def user_id(self) -> str:
        return f"u{self.user}"


@dataclass(frozen=True, slots=True)
class ServerTimings:
    """Microseconds from Server-Timing, -1 where not stated."""

    server_us: int = -1
    redis_us: int = -1
    postgres_us: int = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """One try's answer, classified. ``status`` 0 means that no answer came."""

    outcome: Outcome
    status: int = 0
    order_id: str | None = None
    remaining: int | None = None
    seq: int | None = None
    replayed: bool = False
    retry_after_s: float | None = None
    timings: ServerTimings = ServerTimings()


@dataclass(frozen=True, slots=True)
class ProductReading:
    """One product read. ``version`` and ``remaining`` are null unless the status is 200."""

    status: int
    cache: CacheState = CacheState.OTHER
    age_s: int = -1
    version: int | None = None
    remaining: int | None = None
    timings: ServerTimings = ServerTimings()


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One order, as the ledger has it. Nulls where the strategy keeps none; no ``user_id`` where none was sent."""

    order_id: str
    sku: str
    quantity: int
    user_id: str
    key: str
    remaining: int | None
    seq: int | None
    fence: int | None
    created_unix_us: int | None


@dataclass(frozen=True, slots=True)
class OpenedSale:
    """A sale that exists. ``lock_keys`` are templates, with ``{sale_id}`` and ``{sku}``, of the locks in Redis."""

    sale_id: str
    counter: CounterDeclaration | None
    lock_keys: tuple[str, ...] = ()


class Target(Protocol):
    """A system under test. Plain synchronous calls, each with a time limit of its own."""

    def open(self, sale: SaleSpec) -> OpenedSale:
        """Create the sale; UsageError if it can't be."""

    def buy(self, order: PurchaseOrder) -> Answer:
        """Send one try. Never raises for what the target did: a lost connection is ``unknown``."""

    def read(self, sale_id: str, sku: str) -> ProductReading:
        """Read one product through the target's cache; status 0 if no answer came."""

    def ledger(self, sale_id: str) -> Iterator[LedgerRow]:
        """Every order of the sale, as the target states it."""

    def stock(self, sale_id: str) -> tuple[StoreReading, ...]:
        """Every SKU of the sale, as the target states it, uncached."""
