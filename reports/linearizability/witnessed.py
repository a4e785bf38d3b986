"""Algorithm C: the target states the order of its sales; is that order possible? Exact for that order, O(n log n).

Sales in the order of their ``seq`` can take effect one after the other exactly if none returned before one that comes
earlier was invoked: the running maximum of invocations must not pass a return. What remained after each follows. A read
or a refusal must lie after every sale that had returned when it was invoked and before every sale that was invoked when
it had returned, at a place where what remained agrees with it. What remains only falls, so those places are neighbours,
found by bisection. Each takes the earliest, but none before those that had returned when it was invoked.
"""

from __future__ import annotations

import numpy as np

from reports.linearizability.operations import UNSTATED, Ints, Kind, Operations, Positions, Violation


def check_witnessed(history: Operations) -> Violation | None:
    """None if the order that ``seq`` states explains the history, else what shows that it does not.

    ValueError if a sale states no ``seq``, or if a purchase is unknown: look it up in the target's ledger first.
    """
    sales = history.which(Kind.SALE)
    if (history.seq[sales] == UNSTATED).any():
        raise ValueError("check_witnessed needs the seq of every sale")
    if (history.kind == Kind.UNKNOWN).any():
        raise ValueError("check_witnessed takes no unknown purchases: their fate stands in the ledger that states seq")
    sales = sales[np.lexsort((history.invoked[sales], history.seq[sales]))]
    remaining = history.initial - np.concatenate(([0], np.cumsum(history.quantity[sales])))
    return (
        _same_place(history, sales)
        or _out_of_order(history, sales)
        or _wrong_remaining(history, sales, remaining)
        or _misplaced(history, sales, remaining)
    )


def _same_place(history: Operations, sales: Positions) -> Violation | None:
    seq = history.seq[sales]
    twice = np.flatnonzero(seq[1:] == seq[:-1])
    if not len(twice):
        return None
    pair = sales[twice[0] : twice[0] + 2]
    return Violation(f"two sales have the same place {seq[twice[0]]} in the order", tuple(map(int, pair)))


def _out_of_order(history: Operations, sales: Positions) -> Violation | None:
    invoked, returned = history.invoked[sales], history.returned[sales]
    latest = np.maximum.accumulate(invoked)
    wrong = np.flatnonzero(latest > returned)
    if not len(wrong):
        return None
    later = int(wrong[0])
    earlier = int(np.argmax(invoked[: later + 1] > returned[later]))
    first, second = history.seq[sales[earlier]], history.seq[sales[later]]
    return Violation(
        f"the sale with seq {first} was asked for after the one with seq {second} had been answered",
        (int(sales[later]), int(sales[earlier])),
    )


def _wrong_remaining(history: Operations, sales: Positions, remaining: Ints) -> Violation | None:
    below = np.flatnonzero(remaining[1:] < 0)
    if len(below):
        upto = sales[: below[0] + 1]
        sold = int(history.quantity[upto].sum())
        return Violation(f"{sold} units were sold of {history.initial}", tuple(map(int, upto)))
    stated = history.remaining[sales]
    wrong = np.flatnonzero((stated != UNSTATED) & (stated != remaining[1:]))
    if not len(wrong):
        return None
    place = int(wrong[0])
    return Violation(
        f"the sale with seq {history.seq[sales[place]]} says that it left {stated[place]}, and by the order it left"
        f" {remaining[place + 1]}",
        (int(sales[place]),),
    )


def _misplaced(history: Operations, sales: Positions, remaining: Ints) -> Violation | None:
    """Reads and refusals. A place p is the moment after the first p sales."""
    seen = np.flatnonzero((history.kind == Kind.READ) | (history.kind == Kind.REFUSAL))
    if not len(seen):
        return None
    refused = history.kind[seen] == Kind.REFUSAL
    highest = np.where(refused, history.quantity[seen] - 1, history.remaining[seen])
    falling = -remaining  # ascending
    first = np.searchsorted(falling, -highest, side="left")
    last = np.where(refused, len(sales), np.searchsorted(falling, -history.remaining[seen], side="right") - 1)
    after = _places_after(history, sales, history.invoked[seen])
    before = _places_before(history, sales, history.returned[seen])
    earliest = np.maximum(first, after)
    earliest = np.maximum(earliest, _predecessors(history, seen, earliest))
    wrong = np.flatnonzero(earliest > np.minimum(last, before))
    if not len(wrong):
        return None
    worst = int(wrong[np.argmin(history.returned[seen[wrong]])])
    return _told(history, int(seen[worst]), int(remaining[after[worst]]), int(remaining[before[worst]]))


def _places_after(history: Operations, sales: Positions, invoked: Ints) -> Ints:
    """For each moment the number of sales, along the order, up to the last that had returned before it."""
    order = np.argsort(history.returned[sales], kind="stable")
    latest = np.concatenate(([0], np.maximum.accumulate(order + 1))) if len(sales) else np.zeros(1, np.int64)
    return latest[np.searchsorted(history.returned[sales][order], invoked, side="left")]


def _places_before(history: Operations, sales: Positions, returned: Ints) -> Ints:
    """For each moment the number of sales, along the order, before the first that was invoked after it."""
    order = np.argsort(history.invoked[sales], kind="stable")
    earliest = np.concatenate((np.minimum.accumulate(order[::-1])[::-1], [len(sales)]))
    return earliest[np.searchsorted(history.invoked[sales][order], returned, side="right")]


def _predecessors(history: Operations, seen: Positions, own: Ints) -> Ints:
    """For each of ``seen`` the latest place of those that had returned before it was invoked.

    It is enough to ask their own places: who precedes them precedes it too.
    """
    order = np.argsort(history.returned[seen], kind="stable")
    latest = np.concatenate(([0], np.maximum.accumulate(own[order])))
    return latest[np.searchsorted(history.returned[seen][order], history.invoked[seen], side="left")]


def _told(history: Operations, position: int, most: int, least: int) -> Violation:
    """``most`` and ``least`` are what remained, by the order, when it was invoked and when it returned."""
    if history.kind[position] == Kind.REFUSAL:
        told, agrees = f"a buyer of {history.quantity[position]} was told sold out", least < history.quantity[position]
    else:
        told = f"a reader was told that {history.remaining[position]} were left"
        agrees = least <= history.remaining[position] <= most
    between = f"{most}" if most == least else f"{most} to {least}"
    sentence = f"{told}; by the order of the sales, {between} were left in that time"
    if agrees:
        sentence += ", but others had been told less before"
    return Violation(sentence, (position,))
