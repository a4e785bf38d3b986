"""What happened to one SKU, as columns: a row is a sale, a purchase of which nobody knows, a refusal or a read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]

NEVER = int(np.iinfo(np.int64).max)  # the return of what has none
UNSTATED = int(np.iinfo(np.int64).min)  # a ``remaining`` or ``seq`` that nobody stated
ALWAYS = UNSTATED  # before every moment


class Kind(IntEnum):
    """What a row says of the counter."""

    SALE = 0  # it fell by ``quantity``; ``remaining``, where stated, is what it was after that
    UNKNOWN = 1  # it may have fallen by ``quantity`` at any moment since ``invoked``, or not at all
    REFUSAL = 2  # it was less than ``quantity``
    READ = 3  # it was ``remaining``


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. Stamps are integers of one clock; two operations with touching stamps count as concurrent."""

    kind: Kind
    invoked: int
    returned: int = NEVER
    quantity: int = 1
    remaining: int = UNSTATED
    seq: int = UNSTATED


@dataclass(frozen=True, slots=True)
class Violation:
    """No order of the operations explains them. ``operations`` are positions of some that show it, at least one."""

    sentence: str
    operations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operations:
    """The history of one SKU that began with ``initial`` units. All columns have one entry per operation.

    An operation takes effect at one moment of ``[invoked, returned]``; an unknown's return is not looked at. ValueError
    if columns differ in length, if something returns before it is invoked, or if a purchase is of
    less than one unit, or if a read does not state what remained.
    """

    initial: int
    kind: npt.NDArray[np.int8]
    invoked: Ints
    returned: Ints
    quantity: Ints
    remaining: Ints
    seq: Ints

    def __post_init__(self) -> None:
        columns = (self.kind, self.invoked, self.returned, self.quantity, self.remaining, self.seq)
        if len({len(column) for column in columns}) > 1:
            raise ValueError("the columns of a history have different lengths")
        if self.initial < 0:
            raise ValueError(f"a sale begins with at least 0 units, not {self.initial}")
        if (self.returned < self.invoked).any():
            raise ValueError("an operation returned before it was invoked")
        if (self.quantity[self.kind != Kind.READ] < 1).any():
            raise ValueError("a purchase is of at least one unit")
        if (self.remaining[self.kind == Kind.READ] == UNSTATED).any():
            raise ValueError("a read states what remained")

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def of(cls, initial: int, operations: Iterable[Operation]) -> Operations:
        """From rows, for histories written by hand.

        >>> history = Operations.of(1, [Operation(Kind.SALE, 1, 2), Operation(Kind.REFUSAL, 1, 3)])
        >>> len(history), history.initial
        (2, 1)
        """
        rows = [
            (each.kind, each.invoked, each.returned, each.quantity, each.remaining, each.seq) for each in operations
        ]
        table = np.array(rows, np.int64).reshape(-1, 6)
        return cls(initial, table[:, 0].astype(np.int8), *(np.ascontiguousarray(table[:, c]) for c in range(1, 6)))

    def which(self, kind: Kind) -> Positions:
        """Positions of the operations of one kind."""
        return np.flatnonzero(self.kind == kind)

    def take(self, positions: Positions) -> Operations:
        """Some of the operations, in that order."""
        return Operations(
            self.initial,
            self.kind[positions],
            self.invoked[positions],
            self.returned[positions],
            self.quantity[positions],
            self.remaining[positions],
            self.seq[positions],
        )
