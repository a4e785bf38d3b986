"""I1: nothing is sold that was not there."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import NULL, SOLD, History, Ints, Positions
from reports.checks.story import Story, fewest
from reports.checks.words import counted

TITLE = "no oversell"


def check(history: History) -> Finding:
    """Per SKU: ledger quantity ≤ initial, and acknowledged quantity ≤ initial.

    Missing rows can only make either sum smaller, so this may fail on incomplete evidence.
    """
    initial, acknowledged, ordered = history.initial, history.acknowledged, history.ordered
    sold = acknowledged if ordered is None else np.maximum(acknowledged, ordered)
    over = np.flatnonzero(sold > initial)
    numbers = {
        "initial": int(initial.sum()),
        "in_ledger": None if ordered is None else int(ordered.sum()),
        "acknowledged": int(acknowledged.sum()),
        "oversold_units": int((sold - initial)[over].sum()),
        "oversold_skus": len(over),
    }
    if len(over):
        worst = int(over[np.argmax((sold - initial)[over])])
        more = f", and {counted(len(over) - 1, 'more SKU is', 'more SKUs are')} oversold" if len(over) > 1 else ""
        return Finding.broken(
            f"{history.skus[worst]} had {initial[worst]} units, {sold[worst]} were sold{more}",
            numbers,
            tries=_beyond_initial(history, over) if ordered is None else np.empty(0, np.intp),
            rows=_rows_beyond_initial(history, over),
            offending=numbers["oversold_units"],
            story=_fewest_sales(history, worst),
        )
    if not history.whole:
        return Finding.undecided("no oversell is seen in what there is, but sales may be missing from it", numbers)
    return Finding.held(
        f"{numbers['in_ledger']} sold of {numbers['initial']}, per SKU never more than there was", numbers
    )


def _fewest_sales(history: History, sku: int) -> Story:
    """As few orders of the SKU as are more than there was; as few answers, if buyers were told of more than that."""
    ledger, purchases, initial = history.ledger, history.purchases, int(history.initial[sku])
    if ledger is not None and history.ordered is not None and history.ordered[sku] > initial:
        return Story(rows=fewest(ledger.quantity, np.flatnonzero(ledger.sku == sku), initial))
    sold = np.flatnonzero((purchases.outcome == SOLD) & (purchases.sku == sku))
    return Story(tries=purchases.decisive[fewest(purchases.quantity, sold, initial)])


def _rows_beyond_initial(history: History, skus: Positions) -> Positions:
    """The orders after a SKU's last unit, along ``seq`` where it is given, else as the ledger lists them."""
    ledger = history.ledger
    if ledger is None:
        return np.empty(0, np.intp)
    listed = np.arange(len(ledger))
    along = np.where(ledger.seq == NULL, listed, ledger.seq)
    order = np.lexsort((listed, along, ledger.sku))
    order = order[np.isin(ledger.sku[order], skus)]
    return order[_running(ledger.sku[order], ledger.quantity[order]) > history.initial[ledger.sku[order]]]


def _beyond_initial(history: History, skus: Positions) -> Positions:
    """The acknowledged purchases after a SKU's last unit, in the order of their answers."""
    purchases = history.purchases
    sold = np.flatnonzero((purchases.outcome == SOLD) & np.isin(purchases.sku, skus))
    order = sold[np.lexsort((purchases.returned_ns[sold], purchases.sku[sold]))]
    over = _running(purchases.sku[order], purchases.quantity[order]) > history.initial[purchases.sku[order]]
    return purchases.decisive[order[over]]


def _running(group: Ints, quantity: Ints) -> Ints:
    """Running sums that start again with each group; ``group`` is sorted."""
    total = np.cumsum(quantity)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    before = np.repeat(total[starts] - quantity[starts], np.diff(np.append(starts, len(group))))
    return np.asarray(total - before, np.int64)
