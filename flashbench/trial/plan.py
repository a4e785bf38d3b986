"""What a trial is to be, before it has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flashbench.evidence.documents import PlannedFault, SaleItem, SaleSpec


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One strategy × scenario × fault × seed. ``quantity`` is the least that an attempt asks for.

    ``strategy`` is the name that the target registered; ``source`` is how it was named, if by path. ``companions``
    are commands of processes that accompany the load, by name; it is they who inject the ``faults``. ``alone``: no
    other trial runs on the machine meanwhile. ``wiring``: what lies between the app and its stores, and how the app is
    set.
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
    case: str | None = None
    alone: bool = True
    faults: tuple[PlannedFault, ...] = ()
    companions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wiring: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def fault(self) -> str | None:
        """What the faults are called together."""
        return "+".join(each.fault for each in self.faults) or None


def sale_of(strategy: str, *, skus: int, stock: int, per_user_limit: int) -> SaleSpec:
    """A sale of ``skus`` products with ``stock`` units each, named sku-1, sku-2 and so on."""
    items = tuple(SaleItem(sku=f"sku-{number}", stock=stock) for number in range(1, skus + 1))
    return SaleSpec(strategy=strategy, items=items, per_user_limit=per_user_limit)
