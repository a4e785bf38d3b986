"""I9: the per-user limit is kept, and nobody is refused by it without reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.checks.counter import resolvable
from reports.checks.finding import Finding
from reports.checks.history import LIMITED, NOBODY, SOLD, UNKNOWN, Bools, History, Ints, Positions
from reports.checks.story import Story, fewest
from reports.checks.words import counted

TITLE = "limits kept and true"


def check(history: History) -> Finding:
    """The ledger by user ≤ limit; and for every ``limited``: what its user may have bought by then, + q, > limit.

    What a user may have bought is every other purchase that ended ``sold``, or ``unknown`` unless the ledger shows that
    it was not, and of which a try that can have had an effect was sent before the refusal returned. The first part may
    fail on incomplete evidence, the second may not.
    """
    limit = history.trial.sale.per_user_limit
    if history.ledger_frame is None or history.ledger is None:
        return Finding.undecided("there is no ledger to count what each user bought")
    users, over = _over_the_limit(history, limit)
    unexplained = _unexplained(history, limit)
    refusals = int((history.tries.outcome == LIMITED).sum())
    numbers = {
        "limit": limit or None,
        "users_over": users,
        "limited": refusals,
        "unexplained": len(unexplained),
    }
    if users:
        return Finding.broken(
            f"{counted(users, 'user')} bought more than {limit}",
            numbers,
            rows=over,
            offending=users,
            story=Story(rows=fewest(history.ledger.quantity, _same_user(history, over), limit)),
        )
    if not history.whole:
        return Finding.undecided("no user over the limit is seen, but the evidence is incomplete", numbers)
    if len(unexplained):
        return Finding.broken(
            f"what users had bought does not explain {len(unexplained)} of {counted(refusals, 'refusal')} by the limit",
            numbers,
            tries=unexplained,
            story=Story(tries=_all_of_the_user(history, int(unexplained[0]))),
        )
    if not limit:
        return Finding.held("there is no limit, and nobody was refused by one", numbers)
    explained = f"each of {refusals} refusals is explained" if refusals else "nobody was refused by the limit"
    return Finding.held(f"nobody bought more than {limit}, and {explained}", numbers)


def _over_the_limit(history: History, limit: int) -> tuple[int, Positions]:
    """How many users the ledger shows over the limit, and their orders."""
    if not limit or history.ledger_frame is None or history.ledger is None:
        return 0, NOBODY
    codes, users = pd.factorize(history.ledger_frame["user_id"])
    bought = np.bincount(codes, weights=history.ledger.quantity, minlength=len(users))
    over = (bought > limit) & (users != "")
    return int(over.sum()), np.flatnonzero(over[codes])


def _same_user(history: History, rows: Positions) -> Positions:
    """The orders of the user who made the first of ``rows``."""
    assert history.ledger_frame is not None
    user = history.ledger_frame["user_id"].to_numpy()
    return np.flatnonzero(user == user[rows[0]])


def _all_of_the_user(history: History, refused: int) -> Positions:
    """A refusal, and whatever else its user had been sold by then, or may have been."""
    tries = history.tries
    earlier = np.isin(tries.outcome, (SOLD, UNKNOWN)) & (tries.invoked_ns <= tries.returned_ns[refused])
    earlier &= _may_have_bought(history)[tries.key]
    return np.append(np.flatnonzero((tries.user == tries.user[refused]) & earlier), refused)


def _may_have_bought(history: History) -> Bools:
    """Of each purchase; one of unknown outcome has not if a ledger that is whole and was read at rest lacks it."""
    purchases = history.purchases
    unknown = purchases.outcome == UNKNOWN
    if history.ledger is not None and resolvable(history):
        unknown &= np.isin(np.arange(len(purchases)), history.ledger.purchase)
    return np.asarray((purchases.outcome == SOLD) | unknown, np.bool_)


def _unexplained(history: History, limit: int) -> Positions:
    """Refusals by the limit that the user's other purchases do not explain. Equal stamps count as concurrent."""
    tries, purchases = history.tries, history.purchases
    limited = np.flatnonzero(tries.outcome == LIMITED)
    if not len(limited) or not limit:
        return limited
    may_have = _may_have_bought(history)
    bought = np.flatnonzero(may_have)
    before = _bought_before(
        tries.user[limited],
        tries.returned_ns[limited],
        purchases.user[bought],
        purchases.effective_ns[bought],
        purchases.quantity[bought],
    )
    key = tries.key[limited]
    itself = may_have[key] & (purchases.effective_ns[key] <= tries.returned_ns[limited])
    before = before - np.where(itself, tries.quantity[limited], 0)
    return limited[before + tries.quantity[limited] <= limit]


def _bought_before(
    asker: npt.NDArray[np.uint64], at_ns: Ints, user: npt.NDArray[np.uint64], invoked_ns: Ints, quantity: Ints
) -> Ints:
    """For each (asker, moment) the quantity of that user's purchases invoked no later."""
    order = np.lexsort((invoked_ns, user))
    user, invoked_ns, quantity = user[order], invoked_ns[order], quantity[order]
    running = np.concatenate(([0], np.cumsum(quantity)))
    users, starts = np.unique(user, return_index=True)
    # One sorted axis for (user, moment): the user's number times the count of moments, plus the moment's rank.
    moments = np.unique(invoked_ns)
    axis = np.searchsorted(users, user) * (len(moments) + 1) + np.searchsorted(moments, invoked_ns) + 1
    number = np.searchsorted(users, asker)
    known = number < len(users)
    known[known] = users[number[known]] == asker[known]
    wanted = number * (len(moments) + 1) + np.searchsorted(moments, at_ns, side="right")
    upto = np.searchsorted(axis, wanted[known], side="right")
    before = np.zeros(len(asker), np.int64)
    before[known] = running[upto] - running[starts[number[known]]]
    return before
