"""What a trial is to be, before it has happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flashbench.evidence.documents import SaleItem, SaleSpec


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One strategy × scenario × fault × seed. ``quantity`` is what every attempt asks for.

    ``strategy`` is the name that the target registered; ``source`` is how it was named, if by path.
    """

    trial: str
    strategy: str
    scenario: str
    sale: SaleSpec
    quantity: int
    seed: int
    parameters: Mapping[str, Any]
    source: str | None = None
    control: bool = False
    expectation: str = "pass"
    suite: str | None = None
    fault: str | None = None
    fingerprint: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def sale_of(strategy: str, *, skus: int, stock: int, per_user_limit: int) -> SaleSpec:
    """A sale of ``skus`` products with ``stock`` units each, named sku-1, sku-2 and so on."""
    items = tuple(SaleItem(sku=f"sku-{number}", stock=stock) for number in range(1, skus + 1))
    return SaleSpec(strategy=strategy, items=items, per_user_limit=per_user_limit)
