"""One checker on one large history, in a process of its own: ``… -m benchmarks.cost.checks_probe CASE ATTEMPTS``."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from reports.linearizability import (
    NEVER,
    UNSTATED,
    Kind,
    Operations,
    Violation,
    check_quantities,
    check_units,
    check_witnessed,
)

IN_FLIGHT = 64
APART_NS = 1_000
MOST_QUANTITY = 4
READ_SHARE = 0.05
UNKNOWN_SHARE = 1e-4


def units_stating(attempts: int) -> Operations:
    """Half are sales, each stating what it left; then refusals; reads throughout."""
    history = _sale(attempts, most_quantity=1, reads=True)
    sales = history.kind == Kind.SALE
    history.remaining[sales] = history.initial - np.cumsum(sales)[sales]
    return history


def units_silent(attempts: int) -> Operations:
    """The same, but sales state nothing and a few are unknown: all are matched to the slots between reads."""
    history = _sale(attempts, most_quantity=1, reads=True)
    return _forget_some(history)


def quantities(attempts: int) -> Operations:
    """Half are sales of 1 to 4 units, of which a few are unknown; then refusals."""
    return _forget_some(_sale(attempts, most_quantity=MOST_QUANTITY, reads=False))


def witnessed(attempts: int) -> Operations:
    """Half are sales of 1 to 4 units with their place in the order; then refusals; reads throughout."""
    history = _sale(attempts, most_quantity=MOST_QUANTITY, reads=True)
    sales = history.kind == Kind.SALE
    history.seq[sales] = np.arange(1, int(sales.sum()) + 1)
    return history


CASES: dict[str, tuple[Callable[[int], Operations], Callable[[Operations], Violation | None]]] = {
    "A, stated": (units_stating, check_units),
    "A, silent": (units_silent, check_units),
    "B": (quantities, check_quantities),
    "C": (witnessed, check_witnessed),
}


def _sale(attempts: int, *, most_quantity: int, reads: bool) -> Operations:
    """What clients see of a true counter that sells out half-way, with 64 of them in flight at any time."""
    chance = np.random.default_rng(attempts)
    kind = np.where(np.arange(attempts) < attempts // 2, Kind.SALE, Kind.REFUSAL).astype(np.int8)
    if reads:
        kind[chance.random(attempts) < READ_SHARE] = Kind.READ
    sales = kind == Kind.SALE
    quantity = np.ones(attempts, np.int64) if most_quantity == 1 else chance.integers(1, most_quantity + 1, attempts)
    left = np.cumsum(np.where(sales, quantity, 0))
    initial = int(left[-1])
    moment = np.arange(attempts, dtype=np.int64) * APART_NS + IN_FLIGHT * APART_NS
    window = chance.integers(1, IN_FLIGHT * APART_NS // 2, attempts)
    return Operations(
        initial,
        kind,
        moment - window,
        moment + window[::-1],
        quantity,
        np.where(kind == Kind.READ, initial - left, UNSTATED),
        np.full(attempts, UNSTATED),
    )


def _forget_some(history: Operations) -> Operations:
    """A few sales were never answered."""
    sales = history.which(Kind.SALE)
    lost = sales[:: max(1, round(1 / UNKNOWN_SHARE))]
    history.kind[lost] = Kind.UNKNOWN
    history.returned[lost] = NEVER
    return history


def main(case: str, attempts: int) -> None:
    """Seconds of the check alone, and the most memory that the process held, as a line of JSON."""
    make, check = CASES[case]
    history = make(attempts)
    started_s = time.perf_counter()
    violation = check(history)
    seconds = time.perf_counter() - started_s
    if violation is not None:
        raise AssertionError(f"the history of a true counter was refused: {violation.sentence}")
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_gib": peak_gib}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
