"""The sums that must come out, with their numbers, as they are printed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.checks.history import UNKNOWN, History
from reports.judging.contention import contention

SKUS_SHOWN = 8


def identities(history: History, telemetry: pd.DataFrame | None) -> tuple[str, ...]:
    """How hard the sale was contended, both identities per SKU (those that do not hold first), and the unknowns."""
    shown = _order(history)[:SKUS_SHOWN]
    lines = [_tries(history), contention(history, telemetry)]
    for sku in shown:
        lines.append(_acknowledged(history, sku))
        lines += _conserved(history, sku)
    if len(history.skus) > len(shown):
        lines.append(f"and {len(history.skus) - len(shown)} more SKUs, in report.json")
    if history.trial.ledger_source == "target":
        lines.append("ledger and stock as stated by the target")
    return (*lines, *_resolved(history))


def _tries(history: History) -> str:
    drained = int(history.tries.in_drain.sum())
    return f"{len(history.purchases)} purchases in {len(history.tries)} tries ({drained} of them the drain's)"


def _order(history: History) -> list[int]:
    """SKUs whose sums are wrong first, else as the sale lists them."""
    if history.ordered is None:
        return list(range(len(history.skus)))
    low, high = history.acknowledged, history.acknowledged + history.unknown
    wrong = (history.ordered < low) | (history.ordered > high) | (history.ordered > history.initial)
    return [int(sku) for sku in np.argsort(~wrong, kind="stable")]


def _acknowledged(history: History, sku: int) -> str:
    name, acked, unknown = history.skus[sku], history.acknowledged[sku], history.unknown[sku]
    if history.ordered is None:
        return f"{name}: {acked} acknowledged of {history.initial[sku]}, no ledger"
    ordered = history.ordered[sku]
    holds = acked <= ordered <= acked + unknown
    relation = f"{acked} acknowledged <= {ordered} in the ledger <= {acked} + {unknown} unknown"
    return f"{name}: {relation}{_mark(holds)}"


def _conserved(history: History, sku: int) -> list[str]:
    reading = history.final.get(history.skus[sku])
    if history.ordered is None or reading is None:
        return []
    initial, ordered = int(history.initial[sku]), int(history.ordered[sku])
    lines = []
    if reading.postgres_remaining is not None:
        left = reading.postgres_remaining
        sums = f"{initial} initial = {ordered} sold + {left} remaining in {history.store}"
        lines.append(f"{sums}{_mark(initial == ordered + left)}")
    if reading.redis_remaining is not None:
        left, held = reading.redis_remaining, reading.redis_held or 0
        sums = f"{initial} initial = {ordered} sold + {left} remaining + {held} held in Redis"
        lines.append(f"{sums}{_mark(initial == ordered + left + held)}")
    return [f"{history.skus[sku]}: {line}" for line in lines]


def _resolved(history: History) -> tuple[str, ...]:
    unknown = np.flatnonzero(history.purchases.outcome == UNKNOWN)
    if not len(unknown) or history.ledger is None:
        return ()
    orders = np.bincount(history.ledger.purchase[history.ledger.purchase >= 0], minlength=len(history.purchases))
    found = orders[unknown]
    committed, absent, doubled = int((found == 1).sum()), int((found == 0).sum()), int((found > 1).sum())
    return (
        f"{len(unknown)} unknown, looked up by key in the ledger: {committed} committed, {absent} not committed,"
        f" {doubled} doubled",
    )


def _mark(holds: bool) -> str:
    return "" if holds else "  <- does not hold"
