"""Algorithm A: purchases of one unit each, with reads; exact, in O(n log n).

Slot k, counted from 1, is the moment at which the k-th unit was sold. A read of v (a refusal is a read of 0) says that
exactly ``initial`` − v slots lie before some moment of its window: the last of them has its return for a deadline, the
next one its invocation for a release. Slots are in order, so releases only grow along them and deadlines too; each slot
up to the last with a deadline must be filled, and be free to happen. A sale that stated what remained is bound to its
slot, and binds it to its own window. Any other sale fits the slots whose deadline is not before its invocation and
whose release is not after its return: neighbours, so this is a convex bipartite matching, and taking for each slot the
available sale with the earliest last slot finds one if there is one. An unknown purchase fits every slot from its first
on; it is used only where there is no sale.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from reports.linearizability.operations import ALWAYS, NEVER, UNSTATED, Ints, Kind, Operations, Positions, Violation


def check_units(history: Operations) -> Violation | None:
    """None if the history is linearizable, else what shows that it is not.

    ValueError if a purchase is of more than one unit. ``seq`` is not looked at.
    """
    if (history.quantity[history.kind != Kind.READ] > 1).any():
        raise ValueError("check_units takes purchases of one unit; check_quantities takes any")
    sales, unknown = history.which(Kind.SALE), history.which(Kind.UNKNOWN)
    if len(sales) > history.initial:
        return Violation(f"{len(sales)} units were sold of {history.initial}", tuple(map(int, sales)))
    most = min(history.initial, len(sales) + len(unknown))
    stated = history.remaining[sales] != UNSTATED
    bound, loose = sales[stated], sales[~stated]
    slots = _Slots.empty(most)
    trouble = slots.see_reads(history) or slots.bind(history, bound) or slots.close(history)
    return trouble or _fill(slots, history, loose, unknown)


@dataclass(frozen=True, slots=True)
class _Slots:
    """Windows of the slots 1 to ``most``; index 0 stands for the moment before the first, index most + 1 for no slot.

    ``early`` and ``late`` are the operations that set a slot's release and its deadline, -1 for none.
    """

    most: int
    release: Ints
    deadline: Ints
    early: Positions
    late: Positions
    taken: Ints

    @classmethod
    def empty(cls, most: int) -> _Slots:
        size = most + 2
        return cls(
            most,
            np.full(size, ALWAYS),
            np.full(size, NEVER),
            np.full(size, -1, np.intp),
            np.full(size, -1, np.intp),
            np.zeros(size, np.int64),
        )

    def see_reads(self, history: Operations) -> Violation | None:
        """Each read and each refusal ends one slot and opens the next."""
        reads = np.flatnonzero((history.kind == Kind.READ) | (history.kind == Kind.REFUSAL))
        value = np.where(history.kind[reads] == Kind.REFUSAL, 0, history.remaining[reads])
        slot = history.initial - value
        out = np.flatnonzero((slot < 0) | (slot > self.most))
        if len(out):
            worst = int(out[np.argmax(slot[out])])
            return Violation(self._impossible(history, int(reads[worst]), int(slot[worst])), (int(reads[worst]),))
        self._not_after(slot, history.returned[reads], reads)
        self._not_before(slot + 1, history.invoked[reads], reads)
        return None

    def bind(self, history: Operations, bound: Positions) -> Violation | None:
        """Each sale that stated what remained has the slot that follows from it."""
        slot = history.initial - history.remaining[bound]
        out = np.flatnonzero((slot < 1) | (slot > self.most))
        if len(out):
            worst = int(out[np.argmax(slot[out])])
            return Violation(self._impossible(history, int(bound[worst]), int(slot[worst])), (int(bound[worst]),))
        np.add.at(self.taken, slot, 1)
        twice = np.flatnonzero(self.taken > 1)
        if len(twice):
            both = bound[slot == twice[0]]
            left = history.initial - int(twice[0])
            return Violation(f"{len(both)} sales say that they left {left}", tuple(map(int, both)))
        self._not_after(slot, history.returned[bound], bound)
        self._not_before(slot, history.invoked[bound], bound)
        return None

    def close(self, history: Operations) -> Violation | None:
        """Slots are in order: no slot is before an earlier one's release, or after a later one's deadline."""
        rise = np.maximum.accumulate(self.release)
        self.early[:] = self.early[_last_change(rise, self.release)]
        self.release[:] = rise
        fall = np.minimum.accumulate(self.deadline[::-1])[::-1]
        backwards = _last_change(fall[::-1], self.deadline[::-1])
        self.late[:] = self.late[::-1][backwards][::-1]
        self.deadline[:] = fall
        empty = np.flatnonzero(self.release[1:-1] > self.deadline[1:-1]) + 1
        if not len(empty):
            return None
        slot = int(empty[0])
        early, late = int(self.early[slot]), int(self.late[slot])
        return Violation(
            f"{_told(history, late)} when no more than {slot - 1} of {history.initial} units could have been sold,"
            f" as {_told(history, early)} later",
            (late, early),
        )

    @property
    def required(self) -> int:
        """The last slot that something shows to have been filled."""
        filled = np.flatnonzero(self.deadline[: self.most + 1] != NEVER)
        return int(filled[-1]) if len(filled) else 0

    def _not_after(self, slot: Ints, moment: Ints, by: Positions) -> None:
        sooner = moment < self.deadline[slot]
        slot, moment, by = slot[sooner], moment[sooner], by[sooner]
        order = np.argsort(-moment, kind="stable")  # what is written last stays
        self.deadline[slot[order]] = moment[order]
        self.late[slot[order]] = by[order]

    def _not_before(self, slot: Ints, moment: Ints, by: Positions) -> None:
        later = moment > self.release[slot]
        slot, moment, by = slot[later], moment[later], by[later]
        order = np.argsort(moment, kind="stable")
        self.release[slot[order]] = moment[order]
        self.early[slot[order]] = by[order]

    def _impossible(self, history: Operations, position: int, slot: int) -> str:
        told = _told(history, position)
        if slot <= 0:
            return f"{told}, more than the {history.initial} there were to begin with"
        return f"{told}, but at most {self.most} of {history.initial} units can have been sold in all"


def _fill(slots: _Slots, history: Operations, loose: Positions, unknown: Positions) -> Violation | None:
    """Match the sales that are bound to no slot, and as many of the unknown purchases as it takes."""
    most = slots.most
    if not most:
        return None
    deadline, release = slots.deadline[1 : most + 1], slots.release[1 : most + 1]
    first = np.searchsorted(deadline, history.invoked[loose], side="left")
    last = np.searchsorted(release, history.returned[loose], side="right") - 1
    nowhere = np.flatnonzero(first > last)
    if len(nowhere):
        sale, slot = int(loose[nowhere[0]]), int(first[nowhere[0]])
        if slot < most:
            return Violation("a sale fits between no two of the answers that say what was left", (sale,))
        late = int(slots.late[most])
        return Violation(f"{_told(history, late)}, and somebody who asked later was sold a unit", (late, sale))
    stages = _Stages.of(release, deadline, slots.taken[1 : most + 1] == 0, slots.required)
    unknown_first = np.searchsorted(deadline, history.invoked[unknown], side="left")
    usable = stages.number[unknown_first[unknown_first < most]]
    gap = stages.fill(stages.number[first], stages.number[last], usable)
    if gap is None:
        return None
    slot = gap.slot + 1
    if gap.overfull:
        position = int(slots.early[slot + 1])
        short = f", though more than {slot} of {history.initial} units had been sold before"
    else:
        position = int(slots.late[slot])
        short = f" when fewer than {slot} of {history.initial} units could have been sold"
    return Violation(_told(history, position) + short, (position,))


@dataclass(frozen=True, slots=True)
class _Gap:
    """Where the matching fails: the slot, from 0, is ``overfull`` with sales that fit no later one, or unfilled."""

    slot: int
    overfull: bool


@dataclass(frozen=True, slots=True)
class _Stages:
    """Neighbouring slots with the same window are one stage. ``number`` is each slot's stage, slots from 0.

    ``room`` counts a stage's slots that no sale is bound to; all of them must be filled up to stage ``required``.
    """

    number: Positions
    room: Ints
    end: Positions
    required: int

    @classmethod
    def of(cls, release: Ints, deadline: Ints, free: np.ndarray, required: int) -> _Stages:
        """``required`` is the number of slots, from the first, that must be filled."""
        if not len(release):
            nothing = np.empty(0, np.intp)
            return cls(nothing, np.empty(0, np.int64), nothing, -1)
        new = np.concatenate(([False], (release[1:] != release[:-1]) | (deadline[1:] != deadline[:-1])))
        number = np.cumsum(new)
        room = np.bincount(number, weights=free).astype(np.int64)
        end = np.concatenate((np.flatnonzero(new) - 1, [len(release) - 1]))
        return cls(number, room, end, int(number[required - 1]) if required else -1)

    def fill(self, first: Positions, last: Positions, unknown: Positions) -> _Gap | None:
        """Give each sale a slot from its first to its last stage; where that fails, None if it does not.

        ``unknown`` are the first stages of the purchases that may be left out.
        """
        spare = np.bincount(unknown, minlength=len(self.room))
        if not len(first):
            return self._fill_with_unknowns(spare)
        stages = len(self.room)
        groups, counts = np.unique(first.astype(np.int64) * stages + last, return_counts=True)
        arriving = list(zip((groups // stages).tolist(), (groups % stages).tolist(), counts.tolist(), strict=True))
        arriving.reverse()
        waiting: list[tuple[int, int]] = []
        left, idle = len(first), 0
        for stage, (room, more) in enumerate(zip(self.room.tolist(), spare.tolist(), strict=True)):
            idle += more
            while arriving and arriving[-1][0] == stage:
                _, until, count = arriving.pop()
                heapq.heappush(waiting, (until, count))
            need = room if stage <= self.required else min(room, left)
            while need and waiting:
                until, count = heapq.heappop(waiting)
                placed = min(count, need)
                need -= placed
                left -= placed
                if count > placed:
                    heapq.heappush(waiting, (until, count - placed))
            if need > idle or (waiting and waiting[0][0] <= stage):
                return _Gap(int(self.end[stage]), overfull=need <= idle)
            idle -= need
            if not left and stage >= self.required:
                break
        return None

    def _fill_with_unknowns(self, spare: Positions) -> _Gap | None:
        """The same where every sale has its slot already."""
        needed = self.required + 1
        short = np.flatnonzero(np.cumsum(self.room[:needed]) > np.cumsum(spare[:needed]))
        return _Gap(int(self.end[short[0]]), overfull=False) if len(short) else None


def _last_change(running: Ints, own: Ints) -> Positions:
    """For each place of a running extreme, the place that it comes from."""
    places = np.where(own == running, np.arange(len(own)), 0)
    return np.maximum.accumulate(places)


def _told(history: Operations, position: int) -> str:
    """What an operation told its client."""
    kind, remaining = history.kind[position], history.remaining[position]
    if kind == Kind.REFUSAL:
        return "a buyer was told sold out"
    if kind == Kind.READ:
        return f"a reader was told that {remaining} were left"
    return f"a buyer was told that {remaining} were left"
