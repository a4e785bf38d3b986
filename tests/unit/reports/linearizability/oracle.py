"""Is there an order of the operations that explains them all? Tries every order; shares no code with the checkers."""

from __future__ import annotations

from collections.abc import Sequence

from reports.linearizability import UNSTATED, Kind, Operation


def explainable(initial: int, operations: Sequence[Operation], *, along_seq: bool = False) -> bool:
    """Whether a counter that began with ``initial`` can have shown this. ``along_seq``: with its sales in that order.

    A search in depth over what has taken effect so far; a dead end is entered once.
    """
    count = len(operations)
    before = [
        sum(
            1 << other
            for other in range(count)
            if operations[other].kind is not Kind.UNKNOWN
            and (
                operations[other].returned < operations[this].invoked
                or (along_seq and _precedes(operations[other], operations[this]))
            )
        )
        for this in range(count)
    ]
    needed = sum(1 << this for this in range(count) if operations[this].kind is not Kind.UNKNOWN)
    dead: set[tuple[int, int]] = set()

    def search(done: int, left: int) -> bool:
        if done & needed == needed:
            return True
        if (done, left) in dead:
            return False
        for this, operation in enumerate(operations):
            if done >> this & 1 or before[this] & ~done:
                continue
            after = _after(operation, left)
            if after is not None and search(done | 1 << this, after):
                return True
        dead.add((done, left))
        return False

    return search(0, initial)


def _precedes(one: Operation, other: Operation) -> bool:
    return one.kind is Kind.SALE and other.kind is Kind.SALE and one.seq < other.seq


def _after(operation: Operation, left: int) -> int | None:
    """What remains once the operation has taken effect; None if it can't now."""
    if operation.kind in (Kind.SALE, Kind.UNKNOWN):
        after = left - operation.quantity
        stated = operation.remaining != UNSTATED and operation.kind is Kind.SALE
        return None if after < 0 or (stated and operation.remaining != after) else after
    if operation.kind is Kind.REFUSAL:
        return left if left < operation.quantity else None
    return left if left == operation.remaining else None
