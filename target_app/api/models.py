"""Request and response bodies. Everything is bounded; what doesn't fit is refused before it can do anything."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MOST_UNITS = 10**12

Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
Units = Annotated[int, Field(strict=True, ge=0, le=MOST_UNITS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemBody(_Body):
    """One SKU; ``price`` in the currency's minor unit."""

    sku: Sku
    stock: Units
    price: Units = 100


class SaleBody(_Body):
    """A sale to be created. ``per_user_limit`` 0 means no limit."""

    strategy: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    items: Annotated[tuple[ItemBody, ...], Field(min_length=1, max_length=1000)]
    per_user_limit: Units = 0

    @model_validator(mode="after")
    def _skus_differ(self) -> SaleBody:
        if len({item.sku for item in self.items}) != len(self.items):
            raise ValueError("two items have the same sku")
        return self


class CounterView(BaseModel):
    """Where a strategy's stock counter is kept in Redis."""

    key: str
    remaining_field: str | None
    held_field: str | None


class SaleView(BaseModel):
    """A sale that was created."""

    sale_id: UUID
    strategy: str
    items: tuple[ItemBody, ...]
    per_user_limit: int
    counter: CounterView | None
    lock_keys: tuple[str, ...]


class PurchaseBody(_Body):
    """What a buyer wants."""

    sku: Sku
    quantity: Annotated[int, Field(strict=True, ge=1, le=MOST_UNITS)]
    user_id: UserId


class PurchaseView(BaseModel):
    """A committed order."""

    order_id: UUID
    sku: str
    quantity: int
    remaining: int | None
    seq: int | None


class ProductView(BaseModel):
    """A product as the cache has it; ``version`` grows with every sale."""

    sku: str
    price: int
    remaining: int
    version: int


class StrategyView(BaseModel):
    """A strategy that a sale can name."""

    name: str
    summary: str
    source: str | None
    source_sha256: str | None
    counter: CounterView | None
    declared_keys: tuple[str, ...]
    lock_keys: tuple[str, ...]


class CatalogueView(BaseModel):
    """Every strategy, and how long after the last request the app can still change a store."""

    strategies: tuple[StrategyView, ...]
    longest_timer_s: float


class ReadyView(BaseModel):
    """A worker that is ready."""

    worker: int


class ProblemView(BaseModel):
    """Problem details (RFC 9457). ``effect`` is "none" only where provably nothing happened."""

    type: str
    title: str
    status: int
    detail: str
    effect: str | None = None
