"""I4: one key, one effect, one answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.checks.finding import Finding
from reports.checks.history import SOLD, History
from reports.checks.words import counted

TITLE = "idempotent"


def check(history: History) -> Finding:
    """At most one order per key; all ``sold`` answers to one key have the same order_id, remaining and seq."""
    frame = history.ledger_frame
    if frame is None:
        return Finding.undecided("there is no ledger to look for doubles in")
    codes, keys = pd.factorize(frame["key"])
    twice = np.flatnonzero(np.bincount(codes, minlength=len(keys))[codes] > 1)
    tries, purchases = history.tries, history.purchases
    sold = np.flatnonzero(tries.outcome == SOLD)
    reference = purchases.decisive[tries.key[sold]]
    orders = pd.factorize(history.try_frame["order_id"])[0]
    same = (
        (orders[sold] == orders[reference])
        & (tries.remaining[sold] == tries.remaining[reference])
        & (tries.seq[sold] == tries.seq[reference])
    )
    other_answer = sold[~same]
    numbers = {
        "keys_in_ledger": len(keys),
        "orders": len(frame),
        "orders_of_doubled_keys": len(twice),
        "repeated_answers": int((sold != reference).sum()),
        "different_answers": len(other_answer),
    }
    if not history.whole:
        return Finding.undecided("the evidence is incomplete", numbers)
    if not len(twice) and not len(other_answer):
        return Finding.held(
            f"{len(frame)} orders have as many keys, and {numbers['repeated_answers']} repeated answers say the same",
            numbers,
        )
    parts = []
    if len(twice):
        parts.append(
            counted(len(np.unique(codes[twice])), "key has more than one order", "keys have more than one order")
        )
    if len(other_answer):
        parts.append(
            counted(len(other_answer), "repeated answer differs", "repeated answers differ") + " from the first"
        )
    shown = np.column_stack((purchases.decisive[tries.key[other_answer]], other_answer)).ravel()
    return Finding.broken("; ".join(parts), numbers, tries=shown, rows=twice, offending=len(twice) + len(other_answer))
