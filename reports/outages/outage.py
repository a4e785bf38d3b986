"""The figures of one trial that met faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flashbench.vocabulary import Outcome
from reports.outages.answers import Answers, Unknowns
from reports.outages.course import WINDOW_S, Course
from reports.outages.faults import CRASHES, Hurts
from reports.outages.locks import TICK_S, Locks
from reports.outages.recovery import Normal, Recovery, recoveries
from reports.outages.spans import Span
from reports.outages.targets import DETECTION_S, LOCK_LEASE_S, RECOVERY_S
from reports.outages.vitals import OPEN, Line, Vitals


@dataclass(frozen=True, slots=True)
class OutageFigures:
    """What one trial's faults did, from the first injection to the last heal, for half a second at least: so long the
    app may need to notice one that is over at once. None where it can't be said.

    ``availability``: share of purchases, of those that arrived while stock lasted, which were decided within
    ``PATIENCE_S``: over the whole load; ``availability_failing`` while a fault lasted and in the three seconds after
    it, outside the half second after every injection; and in the worst whole second. ``detected_s``: from the first
    injection until every worker's breaker was open. ``first_answer_s``: from then to the first decision on a purchase
    sent after it. ``floor_per_s``: the least goodput of any second that began during the outage. ``slowest_ms``: of the
    purchases that arrived during it. ``slowest_request_s``: of all requests from the first injection on. ``errors``:
    tries that ended so from then on. ``recovered_s``: from a heal, by the rule of ``recovery``, in the worst of
    ``recoveries`` that could be judged; ``why_not`` says why there is none, ``unrecovered_s`` for how long a recovery
    would have been seen. ``counter_right_s``: from the last heal until the strategy's counter in Redis was seen to say
    what Postgres does. Peaks are of the time from the first injection on, those of Postgres over a second.
    ``keeps_locks``: whether there are locks in Redis to be watched. ``longest_lock_s``: one owner's, as far as it was
    seen; ``stale_locks`` were held for longer than their lease, or had none, at any time after the first injection.
    ``crashes``: of Postgres, while stock lasted. ``in_time``: stock lasted until the faults came. ``bitten``: all that
    were planned came, and were seen to take effect.
    """

    spans: tuple[Span, ...]
    bitten: bool
    in_time: bool
    offered_per_s: float | None
    availability: float | None
    availability_failing: float | None
    worst_second: float | None
    detected_s: float | None
    first_answer_s: float | None
    floor_per_s: float | None
    slowest_ms: float | None
    slowest_request_s: float | None
    errors: dict[Outcome, int]
    recoveries: tuple[Recovery, ...]
    recovered_s: float | None
    why_not: str
    unrecovered_s: float | None
    counter_right_s: float | None
    peak_statements_per_s: float | None
    peak_database_reads_per_s: float | None
    oldest_transaction_s: float | None
    keeps_locks: bool | None
    longest_lock_s: float | None
    stale_locks: int | None
    crashes: int
    unknowns: Unknowns
    answers: Answers


def outage(
    met: tuple[Span, ...],
    course: Course,
    vitals: Vitals | None,
    normal: Normal | None,
    unknowns: Unknowns,
    answers: Answers,
    beside: Course | None = None,
    planned: int = 0,
) -> OutageFigures:
    """The figures; ``met`` is not empty, and so many faults were ``planned``.

    ``normal`` is what fault-free trials of the strategy are like, ``beside`` the one of them that has the same seed.
    """
    from_s, healed_s = met[0].from_s, max(span.to_s for span in met)
    to_s = max(healed_s, from_s + DETECTION_S)
    redis_s = _redis_fails_s(met)
    later = course.answered_s[course.invoked_s >= from_s]
    during = (course.windows_s >= from_s) & (course.windows_s < to_s) & (course.windows_s + WINDOW_S <= course.lasts_s)
    seen = recoveries(normal, course, met, beside) if normal is not None else ()
    recovered_s, why_not, unrecovered_s = _recovered(seen)
    locks = vitals.locks if vitals is not None else None
    return OutageFigures(
        spans=met,
        bitten=len(met) >= planned and all(each.bit_s is not None for each in met),
        in_time=course.lasts_s > max(span.from_s for span in met),
        offered_per_s=course.offered_per_s,
        availability=course.availability(0.0, course.ended_s),
        availability_failing=course.availability_within(
            [(each.from_s, each.to_s + RECOVERY_S) for each in met],
            but_s=[(each.from_s, each.from_s + DETECTION_S) for each in met],
        ),
        worst_second=course.worst_second,
        detected_s=_detected_s(vitals, redis_s, max(healed_s, redis_s + DETECTION_S)),
        first_answer_s=float(later.min() - from_s) if len(later) else None,
        floor_per_s=float(course.window_goodput[during].min()) if during.any() else None,
        slowest_ms=_slowest_ms(course, from_s, to_s),
        slowest_request_s=course.slowest_request_s(from_s),
        errors={outcome: int((moments >= from_s).sum()) for outcome, moments in course.errors_s.items()},
        recoveries=seen,
        recovered_s=recovered_s,
        why_not=why_not,
        unrecovered_s=unrecovered_s,
        counter_right_s=_counter_right_s(vitals, from_s, healed_s),
        peak_statements_per_s=_most(vitals.statements_per_s if vitals is not None else None, from_s),
        peak_database_reads_per_s=_most(vitals.database_reads_per_s if vitals is not None else None, from_s),
        oldest_transaction_s=_most(vitals.oldest_transaction_s if vitals is not None else None, from_s),
        keeps_locks=locks is not None if vitals is not None else None,
        longest_lock_s=_longest_lock_s(locks, from_s),
        stale_locks=_stale_locks(vitals, from_s, course.ended_s),
        crashes=sum(each.fault in CRASHES and each.bit_s is not None and each.from_s < course.lasts_s for each in met),
        unknowns=unknowns,
        answers=answers,
    )


def _recovered(seen: Sequence[Recovery]) -> tuple[float | None, str, float | None]:
    """The worst recovery; else why there is none, and for how long one was watched for in vain.

    A heal after which the next fault came too soon to tell is left out, unless it is the last.
    """
    if not seen:
        return None, "no fault-free trial of the same strategy and load is there to compare with", None
    for each in seen:
        if each.took_s is None and each.watched_s >= RECOVERY_S and not each.last:
            return None, "not before the next fault came", each.watched_s
    if seen[-1].took_s is None:
        return None, "not within the load", seen[-1].watched_s
    return max(each.took_s for each in seen if each.took_s is not None), "", None


def _redis_fails_s(met: Sequence[Span]) -> float:
    """When the first of the faults began that has to do with Redis; of any, if none has."""
    return min((each.from_s for each in met if each.hurts is Hurts.REDIS), default=met[0].from_s)


def _detected_s(vitals: Vitals | None, from_s: float, to_s: float) -> float | None:
    """When the last worker's breaker was first seen open; None if one stayed closed, or nobody looked."""
    opened = []
    for line in vitals.breakers if vitals is not None else ():
        during = (line.at_s >= from_s) & (line.at_s <= to_s)
        seen = line.at_s[during & (line.values == OPEN)]
        if len(seen):
            opened.append(float(seen[0]))
        elif during.any():  # else it was gone, or not there yet
            return None
    return max(opened) - from_s if opened else None


def _counter_right_s(vitals: Vitals | None, from_s: float, healed_s: float) -> float | None:
    """The stores are read one after the other, while units are sold: what they are apart before the fault is right."""
    if vitals is None or vitals.redis_stock is None or vitals.postgres_stock is None:
        return None
    at_s, counted, true = vitals.redis_stock.at_s, vitals.redis_stock.values, vitals.postgres_stock
    apart = np.abs(counted - np.interp(at_s, true.at_s, true.values))
    one_tick = np.diff(true.at_s) < 2 * TICK_S
    sold_between = float(-np.diff(true.values)[one_tick].min(initial=0.0))
    right = at_s[apart <= max(sold_between, float(apart[at_s < from_s].max(initial=0.0)))]
    seen = right[right >= healed_s]
    return float(seen[0] - healed_s) if len(seen) else None


def _longest_lock_s(locks: Locks | None, since_s: float) -> float | None:
    if locks is None:
        return None
    return max((each.held_s for each in locks.holdings if each.to_s >= since_s), default=0.0)


def _stale_locks(vitals: Vitals | None, from_s: float, ended_s: float) -> int | None:
    """Those that were seen; that there were none only where somebody looked all the time."""
    if vitals is None or vitals.locks is None:
        return None
    seen = len(vitals.locks.past(LOCK_LEASE_S, from_s))
    return seen if seen or vitals.locks.watched(from_s, ended_s, vitals.redis_away) else None


def _slowest_ms(course: Course, from_s: float, to_s: float) -> float | None:
    arrived_s = course.answered_s - course.latency_ms / 1e3
    values = course.latency_ms[(arrived_s >= from_s) & (arrived_s <= to_s)]
    return float(values.max()) if len(values) else None


def _most(line: Line | None, since_s: float) -> float | None:
    return line.most(since_s) if line is not None else None
