"""I2: what a buyer was told to have bought is in the ledger."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import NULL, SOLD, Bools, History
from reports.checks.story import Story

TITLE = "nothing lost"


def check(history: History) -> Finding:
    """Every purchase that ended ``sold`` has an order with its key and the same SKU, quantity and user.

    In a ledger that the harness read itself it is also the order that the buyer was told of, with the same remaining
    and the same ``seq`` where both state one.
    """
    ledger, purchases = history.ledger, history.purchases
    if ledger is None:
        return Finding.undecided("there is no ledger to find the sales in")
    ordered, as_asked = np.zeros(len(purchases), bool), np.zeros(len(purchases), bool)
    known = ledger.purchase >= 0
    ordered[ledger.purchase[known]] = True
    as_asked[ledger.purchase[known & ledger.as_asked & _as_told(history)]] = True
    sold = purchases.outcome == SOLD
    lost, different = np.flatnonzero(sold & ~ordered), np.flatnonzero(sold & ordered & ~as_asked)
    numbers = {"sold": int(sold.sum()), "lost": len(lost), "different": len(different), "orders": len(ledger)}
    if not history.whole:
        return Finding.undecided(
            "orders may be missing from the evidence, so a sale without one proves nothing", numbers
        )
    if len(lost) and not history.at_rest:
        if not len(different):
            return Finding.undecided(
                "the ledger was read before all had come to rest: sales may come to it yet", numbers
            )
        lost = lost[:0]
    if not len(lost) and not len(different):
        return Finding.held(f"each of {numbers['sold']} sales that buyers were told of is in the ledger", numbers)
    parts = []
    if len(lost):
        parts.append(f"{len(lost)} of {numbers['sold']} sales that buyers were told of are not in the ledger")
    if len(different):
        parts.append(f"{len(different)} are there with another SKU, quantity or user, or not as the buyer was told")
    example = int(lost[0] if len(lost) else different[0])
    return Finding.broken(
        "; ".join(parts),
        numbers,
        tries=purchases.decisive[np.concatenate((lost, different))],
        rows=np.flatnonzero(known & np.isin(ledger.purchase, different)),
        offending=len(lost) + len(different),
        story=Story(
            tries=purchases.decisive[[example]],
            rows=np.flatnonzero(ledger.purchase == example),
            facts=("no order in the ledger has this key",) if len(lost) else (),
        ),
    )


def _as_told(history: History) -> Bools:
    """Of each order, whether it is what its buyer was told; True where nothing was told that could be compared."""
    ledger, frame, tries, purchases = history.ledger, history.ledger_frame, history.tries, history.purchases
    assert ledger is not None
    assert frame is not None
    told = np.ones(len(ledger), bool)
    if history.trial.ledger_source != "postgres":
        return told
    rows = np.flatnonzero(ledger.purchase >= 0)
    rows = rows[purchases.outcome[ledger.purchase[rows]] == SOLD]
    decisive = purchases.decisive[ledger.purchase[rows]]
    stated = history.try_frame["order_id"].iloc[decisive].to_numpy(object)
    told[rows] = frame["order_id"].iloc[rows].to_numpy(object) == stated
    for ours, theirs in ((ledger.remaining, tries.remaining), (ledger.seq, tries.seq)):
        both = (ours[rows] != NULL) & (theirs[decisive] != NULL)
        told[rows] &= ~both | (ours[rows] == theirs[decisive])
    return told
