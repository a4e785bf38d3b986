"""Algorithm B: purchases of any quantity, without reads; exact, in O(n log n + unknowns · units / 64).

The counter only falls, so a sale may as well take effect when it is invoked and a refusal when it returns: nothing else
helps the refusals more, and the sales only need that all of them together are no more than there was. What is left to
choose is which of the unknown purchases happened, and that choice only grows as time goes on. A refusal of q at t needs
initial − q + 1 units sold by then: what the sales invoked until t leave of that, the unknown purchases invoked until t
must have sold. All sums that they may have come to are kept as the bits of one integer; each refusal drops the sums
that are too small for it, and the history is impossible once none is left. (To ask each refusal by itself is not
enough: two may each be explained by unknown purchases that cannot both have happened.)
"""

from __future__ import annotations

import math

import numpy as np

from reports.linearizability.operations import Ints, Kind, Operations, Positions, Violation


def check_quantities(history: Operations) -> Violation | None:
    """None if the history is linearizable, else what shows that it is not.

    ValueError if there is a read. ``remaining`` and ``seq`` are not looked at.
    """
    if (history.kind == Kind.READ).any():
        raise ValueError("check_quantities takes no reads; check_units and check_witnessed do")
    sales, unknown, refusals = (history.which(kind) for kind in (Kind.SALE, Kind.UNKNOWN, Kind.REFUSAL))
    sold = int(history.quantity[sales].sum())
    if sold > history.initial:
        return Violation(f"{sold} units were sold of {history.initial}", tuple(map(int, sales)))
    short, refusals = _needs(history, sales, refusals)
    if not len(refusals):
        return None
    spare = history.initial - sold
    return _choose(history, unknown, refusals, short, spare)


def _needs(history: Operations, sales: Positions, refusals: Positions) -> tuple[Ints, Positions]:
    """The refusals that known sales don't explain, in the order of their returns, and the units that each lacks.

    Only those that lack more than every one before them: the others follow.
    """
    sales = sales[np.argsort(history.invoked[sales], kind="stable")]
    sold = np.concatenate(([0], np.cumsum(history.quantity[sales])))
    refusals = refusals[np.argsort(history.returned[refusals], kind="stable")]
    before = np.searchsorted(history.invoked[sales], history.returned[refusals], side="right")
    short = history.initial - history.quantity[refusals] + 1 - sold[before]
    more = short > np.concatenate(([0], np.maximum.accumulate(np.maximum(short, 0))[:-1]))
    return short[more], refusals[more]


def _choose(history: Operations, unknown: Positions, refusals: Positions, short: Ints, spare: int) -> Violation | None:
    """Which unknown purchases happened, as the set of all sums that they may have come to."""
    unknown = unknown[np.argsort(history.invoked[unknown], kind="stable")]
    scale = math.gcd(*(int(each) for each in np.unique(history.quantity[unknown]))) or 1
    most = min(spare, int(history.quantity[unknown].sum())) // scale
    within = (1 << (most + 1)) - 1
    known_by = np.searchsorted(history.invoked[unknown], history.returned[refusals], side="right").tolist()
    quantities = (history.quantity[unknown] // scale).tolist()
    sums, counted = 1, 0
    for refusal, lacks, upto in zip(refusals.tolist(), short.tolist(), known_by, strict=True):
        for quantity in quantities[counted:upto]:
            if quantity <= most:
                sums |= (sums << quantity) & within
        counted = max(counted, upto)
        least = -(-lacks // scale)
        sums = (sums >> least) << least
        if not sums:
            return Violation(_sentence(history, refusal, lacks, counted), (refusal,))
    return None


def _sentence(history: Operations, refusal: int, lacks: int, unknowns: int) -> str:
    wanted = int(history.quantity[refusal])
    left = lacks + wanted - 1
    but = f", and what {unknowns} unknown purchases may have taken does not explain it" if unknowns else ""
    return f"a buyer of {wanted} was told sold out when at least {left} of {history.initial} units were left{but}"
