"""The course of a trial's faults: each is prepared, injected at its time, seen to bite, healed, and seen to be healed.

Nothing here waits. Whatever a server refuses is said, and counts as not done: the other faults go on, and all that was
begun is healed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeVar

import psutil
import psycopg
import redis

from benchmarks.fault import Fault, FaultError, bar_each_other
from flashbench.evidence.documents import FaultEvent, PlannedFault
from flashbench.services.control import OrderRefusedError

T = TypeVar("T")

HEALED_LIMIT_NS = 20_000_000_000  # after the load, when nothing may last any more
REFUSALS = (FaultError, OrderRefusedError, redis.RedisError, psycopg.Error, psutil.Error, OSError)


class Stage(Enum):
    """How far a fault has come."""

    PLANNED = auto()
    INJECTED = auto()
    BITTEN = auto()
    HEALING = auto()
    HEALED = auto()
    MISSED = auto()  # the load was over before its time, or it could not be prepared
    LASTING = auto()  # it could not be undone


_LASTS = (Stage.INJECTED, Stage.BITTEN, Stage.HEALING)


@dataclass(slots=True)
class _Course:
    """One planned fault on its way."""

    place: int
    plan: PlannedFault
    fault: Fault
    stage: Stage = Stage.PLANNED
    heal_ns: int = 0
    said: set[str] = field(default_factory=set)


class Timeline:
    """All faults of a trial. ``note`` is given what happens, ``complain`` a sentence about what could not be done."""

    def __init__(
        self,
        planned: Sequence[tuple[PlannedFault, Fault]],
        note: Callable[[FaultEvent], None],
        complain: Callable[[str], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        courses = [_Course(place, plan, fault) for place, (plan, fault) in enumerate(planned)]
        self._courses = sorted(courses, key=lambda each: each.plan.at_s)
        self._note, self._complain, self._clock = note, complain, clock
        self._prepared = False
        self._over_ns: int | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is planned and nothing lasts, or what lasts can't be undone."""
        return all(each.stage in (Stage.HEALED, Stage.MISSED, Stage.LASTING) for each in self._courses)

    @property
    def undone(self) -> bool:
        """Whether all that was injected has been seen to be healed."""
        return all(each.stage in (Stage.HEALED, Stage.MISSED) for each in self._courses)

    def advance(self, released_ns: int | None, *, over: bool) -> None:
        """Take every fault further, if it is time: since the load's release, or when the load is over.

        The end of the load heals whatever lasts, in the reverse order of the injections. What is to be done comes
        before the looks at what it did, since a look may have to wait for a server that is silent.
        """
        if over and self._over_ns is None:
            self._over_ns = self._clock()
        if released_ns is not None and not self._prepared and not over:
            self._prepared = True
            for each in self._courses:
                if not self._did(each, "prepared", each.fault.prepare):
                    self._miss(each)
        in_turn = self._courses[::-1] if over else self._courses
        for each in in_turn:
            self._act(each, released_ns)
        for each in in_turn:
            self._watch(each)

    def abandon(self) -> None:
        """Heal what lasts, once and without waiting: for an end that nobody has planned."""
        for each in reversed(self._courses):
            if each.stage in _LASTS:
                self._did(each, "undone", each.fault.heal)

    def _act(self, each: _Course, released_ns: int | None) -> None:
        over = self._over_ns is not None
        if each.stage is Stage.PLANNED:
            if over:
                self._miss(each)
            elif released_ns is not None and self._clock() >= released_ns + each.plan.at_s * 1e9 and self._free(each):
                self._inject(each)
        elif each.stage in (Stage.INJECTED, Stage.BITTEN) and (over or self._clock() >= each.heal_ns):
            if each.stage is Stage.INJECTED:
                self._look(each)  # for the last time
            each.stage = Stage.HEALING
        if each.stage is Stage.HEALING:
            self._did(each, "undone", each.fault.heal)

    def _watch(self, each: _Course) -> None:
        if each.stage is Stage.INJECTED:
            self._look(each)
        elif each.stage is Stage.HEALING:
            self._see_healed(each)

    def _free(self, each: _Course) -> bool:
        """Whether nothing lasts that must be over before this fault begins."""
        mine = type(each.fault), each.fault.options
        lasting = [other.fault for other in self._courses if other.stage in _LASTS]
        return not any(bar_each_other(mine, (type(other), other.options)) for other in lasting)

    def _miss(self, each: _Course) -> None:
        """Not injected; what was prepared is put away."""
        if self._prepared:
            self._did(each, "undone", each.fault.heal)
        each.stage = Stage.MISSED

    def _inject(self, each: _Course) -> None:
        at_ns = self._clock()
        done = self._did(each, "injected", each.fault.inject)
        at_ns = each.fault.began_ns or at_ns
        each.heal_ns = at_ns + round(each.plan.for_s * 1e9)
        each.stage = Stage.INJECTED if done else Stage.HEALING  # and will be healed, even if it can't be written down
        self._write(each, "injected", at_ns, "" if done else "it could not be done")

    def _look(self, each: _Course) -> None:
        shows = self._asked(each, "looked at", each.fault.bite)
        if shows is not None:
            self._write(each, "bit", self._clock(), shows)
            each.stage = Stage.BITTEN
            if each.fault.momentary:
                each.heal_ns = self._clock()

    def _see_healed(self, each: _Course) -> None:
        shows = self._asked(each, "seen to be undone", each.fault.healed)
        if shows is not None:
            self._write(each, "healed", self._clock(), shows)
            each.stage = Stage.HEALED
        elif self._over_ns is not None and self._clock() > self._over_ns + HEALED_LIMIT_NS:
            self._complain(f"{each.plan.fault} still lasts {HEALED_LIMIT_NS / 1e9:.0f} s after the load")
            each.stage = Stage.LASTING

    def _did(self, each: _Course, what: str, deed: Callable[[], None]) -> bool:
        """Whether it could be done."""
        try:
            deed()
        except REFUSALS as refusal:
            self._say_once(each, what, refusal)
            return False
        return True

    def _asked(self, each: _Course, what: str, question: Callable[[], T | None]) -> T | None:
        """The answer, None if there is none."""
        try:
            return question()
        except REFUSALS as refusal:
            self._say_once(each, what, refusal)
            return None

    def _say_once(self, each: _Course, what: str, refusal: Exception) -> None:
        reason = " ".join(str(refusal).split()).rstrip(".") or type(refusal).__name__
        sentence = f"{each.plan.fault} could not be {what}: {reason}"
        if sentence not in each.said:
            each.said.add(sentence)
            self._complain(sentence)

    def _write(self, each: _Course, step: Literal["injected", "bit", "healed"], at_ns: int, detail: str) -> None:
        self._note(FaultEvent(fault=each.plan.fault, place=each.place, step=step, at_ns=at_ns, detail=detail))
