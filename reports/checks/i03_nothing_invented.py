"""I3: the ledger holds nothing that nobody bought."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import FAILED, LIMITED, SOLD, SOLD_OUT, UNKNOWN, History
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "nothing invented"


def check(history: History) -> Finding:
    """Every order's key is one that a buyer sent and that ended ``sold`` or ``unknown``.

    A key that ended ``unknown`` must have been booked as it was asked for (for ``sold`` that is I2).
    """
    ledger, purchases = history.ledger, history.purchases
    if ledger is None:
        return Finding.undecided("there is no ledger to look for inventions in")
    known = ledger.purchase >= 0
    ended = np.full(len(ledger), -1)
    ended[known] = purchases.outcome[ledger.purchase[known]]
    refused = known & (ended != SOLD) & (ended != UNKNOWN)
    altered = (ended == UNKNOWN) & ~ledger.as_asked
    numbers = {
        "orders": len(ledger),
        "never_sent": int((~known).sum()),
        "sold_out": int((ended == SOLD_OUT).sum()),
        "limited": int((ended == LIMITED).sum()),
        "failed": int((ended == FAILED).sum()),
        "unknown_but_different": int(altered.sum()),
        "committed_unknowns": int(((ended == UNKNOWN) & ledger.as_asked).sum()),
    }
    if not history.whole:
        return Finding.undecided(
            "tries may be missing from the evidence, so an order without one proves nothing", numbers
        )
    wrong = np.flatnonzero(~known | refused | altered)
    if not len(wrong):
        return Finding.held(f"each of {len(ledger)} orders belongs to a purchase that ended sold or unknown", numbers)
    causes = {
        "of keys that no buyer sent": numbers["never_sent"],
        "of buyers who were told sold out": numbers["sold_out"],
        "of buyers who were told of their limit": numbers["limited"],
        "of purchases that provably failed": numbers["failed"],
        "not as asked for": numbers["unknown_but_different"],
    }
    why = ", ".join(f"{count} {cause}" for cause, count in causes.items() if count)
    return Finding.broken(
        f"{counted(len(wrong), 'order')} that nobody bought: {why}",
        numbers,
        tries=purchases.decisive[np.unique(ledger.purchase[np.flatnonzero(refused | altered)])],
        rows=wrong,
        offending=len(wrong),
        story=Story(
            tries=np.flatnonzero(history.tries.key == ledger.purchase[wrong[0]]),
            rows=wrong[:1],
            facts=() if known[wrong[0]] else ("no buyer sent this key",),
        ),
    )
