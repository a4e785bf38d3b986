"""I12: with nothing broken any more, every buyer gets an answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.checks.finding import Finding
from reports.checks.history import FAILED, LIMITED, NEVER, SOLD, SOLD_OUT, History
from reports.checks.story import Story

TITLE = "live"

DECIDED_WITHIN_S = 5.0


def check(history: History) -> Finding:
    """Each purchase of the drain gets sold, sold_out or limited within 5 s of its first try, retries included.

    One that in the end found nobody listening shows that the target was gone, not that it does not answer.
    """
    tries, purchases = history.tries, history.purchases
    drained = np.flatnonzero(purchases.in_drain)
    decided_ns = np.full(len(purchases), NEVER)
    deciding = np.isin(tries.outcome, (SOLD, SOLD_OUT, LIMITED))
    np.minimum.at(decided_ns, tries.key[deciding], tries.returned_ns[deciding])
    undecided = drained[decided_ns[drained] == NEVER]
    gone = _found_nobody(history)[undecided]
    never = undecided[~gone]
    answered = drained[decided_ns[drained] != NEVER]
    took_s = (decided_ns[answered] - purchases.invoked_ns[answered]) / 1e9
    slow = answered[took_s > DECIDED_WITHIN_S]
    numbers = {
        "drain_purchases": len(drained),
        "undecided": len(undecided),
        "slower_than_5s": len(slow),
        "slowest_s": round(float(took_s.max()), 3) if len(took_s) else None,
    }
    if not history.tries_whole:
        return Finding.undecided("tries may be missing from the evidence", numbers)
    if not len(drained):
        return Finding.undecided("there was no drain", numbers)
    if history.lasting and len(undecided):
        return Finding.undecided(f"the fault {history.lasting[0]} was not healed before the drain", numbers)
    if len(never) or len(slow):
        late = np.concatenate((never, slow))
        return Finding.broken(
            f"of {len(drained)} purchases of the drain, {len(never)} were never decided"
            f" and {len(slow)} took longer than {DECIDED_WITHIN_S:g} s",
            numbers,
            tries=purchases.decisive[late],
            offending=len(late),
            story=Story(tries=np.flatnonzero(tries.key == late[0])),
        )
    if gone.any():
        return Finding.undecided(
            f"of {len(drained)} purchases of the drain, {int(gone.sum())} found nobody listening: the target was gone",
            numbers,
        )
    return Finding.held(
        f"all {len(drained)} purchases of the drain were decided within {numbers['slowest_s']} s", numbers
    )


def _found_nobody(history: History) -> npt.NDArray[np.bool_]:
    """Of each purchase, whether its last try could not even be sent."""
    tries = history.tries
    last_ns = np.full(len(history.purchases), np.iinfo(np.int64).min)
    np.maximum.at(last_ns, tries.key, tries.invoked_ns)
    unsent = (tries.outcome == FAILED) & (tries.returned_ns == NEVER) & (tries.invoked_ns == last_ns[tries.key])
    found = np.zeros(len(history.purchases), bool)
    found[tries.key[unsent]] = True
    return found
