"""I4: one key, one effect, one answer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.checks.finding import Finding
from reports.checks.history import LIMITED, SOLD, SOLD_OUT, UNKNOWN, History, Positions
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "idempotent"


def check(history: History) -> Finding:
    """At most one order per key; all ``sold`` answers to one key have the same order_id, remaining and seq.

    And nobody whose key has an order was ever refused: stock does not come back, so a refusal before the order would
    have barred it, and one after it should have been the order's own answer.
    """
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
    refused = _refused_with_an_order(history)
    numbers = {
        "keys_in_ledger": len(keys),
        "orders": len(frame),
        "orders_of_doubled_keys": len(twice),
        "repeated_answers": int((sold != reference).sum()),
        "different_answers": len(other_answer),
        "refused_with_an_order": len(refused),
    }
    if not history.whole:
        return Finding.undecided("the evidence is incomplete", numbers)
    if not len(twice) and not len(other_answer) and not len(refused):
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
    if len(refused):
        parts.append(f"{counted(len(refused), 'try', 'tries')} refused though the key has an order")
    differing = np.column_stack((purchases.decisive[tries.key[other_answer]], other_answer)).ravel()
    return Finding.broken(
        "; ".join(parts),
        numbers,
        tries=np.concatenate((differing, refused)),
        rows=twice,
        offending=len(twice) + len(other_answer) + len(refused),
        story=_one_key(history, codes, twice, differing[:2] if len(differing) else refused[:1]),
    )


def _refused_with_an_order(history: History) -> Positions:
    """Tries that were refused although their key sold in another try, or in one of which only the ledger knows.

    If all that the buyer was ever told is no, the order is an invention, which is I3's business.
    """
    tries, purchases, ledger = history.tries, history.purchases, history.ledger
    ordered = purchases.outcome == SOLD
    if ledger is not None:
        in_ledger = ledger.purchase[ledger.purchase >= 0]
        ordered[in_ledger[purchases.outcome[in_ledger] == UNKNOWN]] = True
    return np.flatnonzero(np.isin(tries.outcome, (SOLD_OUT, LIMITED)) & ordered[tries.key])


def _one_key(history: History, codes: Positions, twice: Positions, contradicting: Positions) -> Story:
    """The orders of one key and all that its buyer was told, or two answers that contradict each other."""
    if len(contradicting) == 2:
        return Story(tries=contradicting)
    tries, ledger = history.tries, history.ledger
    key = tries.key[contradicting[0]] if len(contradicting) else -1
    rows = np.flatnonzero(codes == codes[twice[0]]) if len(twice) else np.empty(0, np.intp)
    if len(rows) and ledger is not None:
        key = ledger.purchase[rows[0]]
    elif ledger is not None:
        rows = np.flatnonzero(ledger.purchase == key)
    return Story(tries=np.flatnonzero(tries.key == key), rows=rows)
