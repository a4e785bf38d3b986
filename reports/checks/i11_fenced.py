"""I11: once a lock's next holder has written, no earlier holder writes."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import NULL, History
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "fenced"


def check(history: History) -> Finding:
    """Per SKU, fencing tokens never go back along ``seq``; orders without either are skipped.

    A missing row can't make a token go back, so this may fail on incomplete evidence.
    """
    ledger = history.ledger
    if ledger is None:
        return Finding.undecided("there is no ledger to read fencing tokens from")
    fenced = np.flatnonzero((ledger.fence != NULL) & (ledger.seq != NULL) & (ledger.sku >= 0))
    order = fenced[np.lexsort((ledger.fence[fenced], ledger.seq[fenced], ledger.sku[fenced]))]
    same_sku = ledger.sku[order][1:] == ledger.sku[order][:-1]
    back = np.flatnonzero(same_sku & (ledger.fence[order][1:] < ledger.fence[order][:-1]))
    numbers = {"orders": len(ledger), "fenced": len(fenced), "went_back": len(back)}
    if len(back):
        return Finding.broken(
            f"{counted(len(back), 'order was', 'orders were')} written with a fencing token older than the one before",
            numbers,
            rows=np.column_stack((order[back], order[back + 1])).ravel(),
            offending=len(back),
            story=Story(rows=order[back[0] : back[0] + 2]),
        )
    if not history.ledger_whole:
        return Finding.undecided("no token goes back in what there is, but orders may be missing", numbers)
    if not len(fenced):
        return Finding.held("no order carries a fencing token", numbers)
    return Finding.held(f"{len(fenced)} fencing tokens never go back", numbers)
