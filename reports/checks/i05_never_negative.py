"""I5: no count of anything ever falls below zero."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import NOBODY, NULL, History, Positions, integers
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "never negative"


def check(history: History) -> Finding:
    """Every answer, every product read, every reading of the stores, every order, and the balance along ``seq``.

    Missing rows can only raise a balance, so this may fail on incomplete evidence.
    """
    tries = history.tries
    answers = np.flatnonzero((tries.remaining < 0) & (tries.remaining != NULL))
    seen = integers(history.read_frame["remaining"])
    reads = int(((seen < 0) & (seen != NULL)).sum())
    stores = _negative_readings(history)
    rows = _negative_orders(history)
    numbers = {
        "answers_below_zero": len(answers),
        "reads_below_zero": reads,
        "store_readings_below_zero": len(stores),
        "orders_below_zero": len(rows),
    }
    if len(answers) or reads or stores or len(rows):
        counts = {
            counted(len(answers), "answer"): len(answers),
            counted(reads, "product read"): reads,
            counted(len(stores), "store reading") + f" ({stores[0] if stores else ''})": len(stores),
            counted(len(rows), "order's balance", "orders' balances"): len(rows),
        }
        found = ", ".join(text for text, count in counts.items() if count)
        total = len(answers) + reads + len(stores) + len(rows)
        return Finding.broken(
            f"below zero: {found}",
            numbers,
            tries=answers,
            rows=rows,
            offending=total,
            story=Story(tries=answers[:1], rows=NOBODY if len(answers) else rows[:1], facts=tuple(stores[:1])),
        )
    if not history.whole or not history.reads_whole or not history.snapshots:
        return Finding.undecided("nothing below zero is seen, but some of the evidence is missing", numbers)
    looked_at = int((tries.remaining != NULL).sum()) + int((seen != NULL).sum())
    return Finding.held(
        f"nothing below zero in {looked_at} answers and reads, {len(history.snapshots)} readings of the stores"
        f" and the ledger",
        numbers,
    )


def _negative_readings(history: History) -> list[str]:
    return [
        f"{reading.sku}: {name} {value}"
        for snapshot in history.snapshots
        for reading in snapshot.items
        for name, value in (
            ("remaining in Postgres", reading.postgres_remaining),
            ("remaining in Redis", reading.redis_remaining),
            ("held in Redis", reading.redis_held),
        )
        if value is not None and value < 0
    ]


def _negative_orders(history: History) -> Positions:
    """Orders that state a negative remaining, or at which the running balance along ``seq`` is negative."""
    ledger = history.ledger
    if ledger is None:
        return NOBODY
    negative = (ledger.remaining < 0) & (ledger.remaining != NULL)
    given = np.flatnonzero((ledger.seq != NULL) & (ledger.sku >= 0))
    order = given[np.lexsort((ledger.quantity[given], ledger.seq[given], ledger.sku[given]))]  # equal seq: any order
    for sku, group in _groups(ledger.sku[order], order):
        balance = history.initial[sku] - np.cumsum(ledger.quantity[group])
        negative[group[balance < 0]] = True
    return np.flatnonzero(negative)


def _groups(sku: Positions, order: Positions) -> list[tuple[int, Positions]]:
    """``order`` cut where ``sku``, which is sorted, changes."""
    if not len(order):
        return []
    cuts = np.flatnonzero(np.diff(sku)) + 1
    return [(int(sku[start]), part) for start, part in zip((0, *cuts), np.split(order, cuts), strict=True)]
