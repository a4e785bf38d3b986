"""I8: whoever is told "sold out" is told the truth: the history is one that a counter could have had."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reports.checks.counter import Counted, counters, resolvable, sequenced, witnessed_counters
from reports.checks.finding import Finding
from reports.checks.history import SOLD_OUT, UNKNOWN, History
from reports.checks.story import Story
from reports.checks.words import counted
from reports.linearizability import Violation, check_quantities, check_units, check_witnessed
from reports.linearizability.shrink import Checker, smallest

TITLE = "sold out is true"


def check(history: History) -> Finding:
    """Per SKU, linearizable as a bounded counter: in some order, and in the order that ``seq`` states.

    Unknown purchases are resolved by the ledger where it is whole and was read at rest; else each may have happened or
    not. The order is checked where every order states its ``seq``.
    """
    ordered = history.ledger.quantity if history.ledger is not None else history.tries.quantity
    of_one_unit = bool((history.tries.quantity == 1).all() and (ordered == 1).all())
    numbers: dict[str, int | float | str | None] = {
        "algorithm": "A" if of_one_unit else "B",
        "purchases": len(history.purchases),
        "refusals": int((history.tries.outcome == SOLD_OUT).sum()),
        "unknown": int((history.purchases.outcome == UNKNOWN).sum()),
    }
    if not history.tries_whole:
        return Finding.undecided("tries may be missing, and without them an order may seem impossible", numbers)
    if not history.trial.one_clock:
        return Finding.undecided("stamps of several machines' clocks can't tell what was before what", numbers)
    if (history.tries.returned_ns < history.tries.invoked_ns).any():
        return Finding.undecided("some tries were answered before they were sent: their stamps mean nothing", numbers)
    if (history.tries.quantity < 1).any():
        return Finding.undecided("a purchase of less than one unit is none that a counter knows of", numbers)
    checker: Checker = check_units if of_one_unit else check_quantities
    wrong = _violations(counters(history, reads=of_one_unit), checker)
    if not wrong and sequenced(history):
        numbers["algorithm"] = f"{numbers['algorithm']}, C"
        checker = check_witnessed
        wrong = _violations(witnessed_counters(history), checker)
    numbers["skus_without_an_order"] = len(wrong)
    if wrong:
        seen, violation = wrong[0]
        named = np.array(violation.operations, np.intp)
        tries, rows = seen.tries[named], seen.rows[named]
        more = f"; the same with {counted(len(wrong) - 1, 'more SKU')}" if len(wrong) > 1 else ""
        return Finding.broken(
            f"{history.skus[seen.sku]}: {violation.sentence}{more}",
            numbers,
            tries=tries[tries >= 0],
            rows=rows[rows >= 0],
            offending=len(wrong),
            story=_story(seen, violation, checker),
        )
    if history.ledger is not None and not resolvable(history):
        return Finding.undecided("the ledger may lack orders, so it can't tell what became of all purchases", numbers)
    refusals = counted(int(numbers["refusals"] or 0), "refusal was", "refusals were")
    order = "the order that the ledger states" if checker is check_witnessed else "an order"
    return Finding.held(f"{refusals} true: {order} of all purchases explains every answer", numbers)


def _violations(histories: Iterable[Counted], checker: Checker) -> list[tuple[Counted, Violation]]:
    return [(each, found) for each in histories if (found := checker(each.operations)) is not None]


def _story(seen: Counted, violation: Violation, checker: Checker) -> Story:
    """The fewest answers that no order explains, and after a refusal, who got what was left."""
    core, context = smallest(seen.operations, violation, checker)
    shown = np.concatenate((core, context))
    tries, rows = seen.tries[shown], seen.rows[shown]
    return Story(tries=np.unique(tries[tries >= 0]), rows=np.unique(rows[(rows >= 0) & (tries < 0)]))
