"""The figures of one trial that met faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.vocabulary import Outcome
from reports.outages.course import WINDOW_S, Course
from reports.outages.recovery import Normal, recovery_s
from reports.outages.vitals import OPEN, Vitals


@dataclass(frozen=True, slots=True)
class Span:
    """A fault from its injection to its heal, in seconds since the release of the load."""

    fault: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class OutageFigures:
    """What one trial's faults did, from the first injection to the last heal. None where it can't be said.

    ``availability``: share of purchases, of those that arrived while stock lasted, which were decided; over the whole
    load, and in the worst whole second. ``detected_s``: from injection until every worker's breaker was open.
    ``first_answer_s``: from injection to the first decision on a purchase sent after it. ``floor_per_s``: the least
    goodput of any second that began during the outage. ``slowest_ms``: of the purchases that arrived during it.
    ``errors``: tries that ended so from the injection on. ``recovered_s``: from the heal, by the rule of ``recovery``;
    ``why_not`` says why there is none. ``counter_back_s``: from the heal until the strategy's counter was seen in
    Redis again. ``peak_statements_per_s``: of Postgres, over a second.
    """

    spans: tuple[Span, ...]
    offered_per_s: float | None
    availability: float | None
    worst_second: float | None
    detected_s: float | None
    first_answer_s: float | None
    floor_per_s: float | None
    slowest_ms: float | None
    errors: dict[Outcome, int]
    recovered_s: float | None
    why_not: str
    counter_back_s: float | None
    peak_statements_per_s: float | None


def spans(bundle: Bundle, began_ns: int, ended_s: float) -> tuple[Span, ...]:
    """The faults that were injected, in order; one that was never healed lasts to the end of the load."""
    found: dict[int, Span] = {}
    for event in bundle.faults:
        at_s = (event.at_ns - began_ns) / 1e9
        if event.step == "injected":
            found[event.place] = Span(event.fault, at_s, max(at_s, ended_s))
        elif event.step == "healed" and event.place in found:
            found[event.place] = Span(event.fault, found[event.place].from_s, at_s)
    return tuple(sorted(found.values(), key=lambda span: span.from_s))


def unplanned(met: tuple[Span, ...], vitals: Vitals | None) -> tuple[tuple[float, float], ...]:
    """Spans in which Redis did not answer though no planned fault was on, in seconds since the release."""
    away = vitals.redis_away if vitals is not None else ()
    return tuple(span for span in away if span[1] > 0 and not any(_overlap(span, fault) for fault in met))


def _overlap(span: tuple[float, float], fault: Span) -> bool:
    slack_s = 0.5  # telemetry looks ten times a second, and waits for an answer
    return span[0] < fault.to_s + slack_s and span[1] > fault.from_s - slack_s


def outage(met: tuple[Span, ...], course: Course, vitals: Vitals | None, normal: Normal | None) -> OutageFigures:
    """The figures; ``met`` is not empty, ``normal`` is what fault-free trials of the strategy are like."""
    from_s, to_s = met[0].from_s, max(span.to_s for span in met)
    later = course.answered_s[course.invoked_s >= from_s]
    during = (course.windows_s >= from_s) & (course.windows_s < to_s) & (course.windows_s + WINDOW_S <= course.lasts_s)
    recovered_s, why_not = _recovered(normal, course, to_s)
    statements = vitals.statements_per_s if vitals is not None else None
    return OutageFigures(
        spans=met,
        offered_per_s=course.offered_per_s,
        availability=course.availability(0.0, course.ended_s),
        worst_second=_worst_second(course),
        detected_s=_detected_s(vitals, from_s, to_s),
        first_answer_s=float(later.min() - from_s) if len(later) else None,
        floor_per_s=float(course.window_goodput[during].min()) if during.any() else None,
        slowest_ms=_slowest_ms(course, from_s, to_s),
        errors={outcome: int((moments >= from_s).sum()) for outcome, moments in course.errors_s.items()},
        recovered_s=recovered_s,
        why_not=why_not,
        counter_back_s=_counter_back_s(vitals, to_s),
        peak_statements_per_s=float(statements.values.max()) if statements is not None else None,
    )


def _recovered(normal: Normal | None, course: Course, healed_s: float) -> tuple[float | None, str]:
    if normal is None:
        return None, "no fault-free trial of the same strategy and load is there to compare with"
    found = recovery_s(normal, course, healed_s)
    return found, "" if found is not None else "not within the load"


def _worst_second(course: Course) -> float | None:
    shares = [course.availability(start, start + 1.0) for start in np.arange(0.0, course.lasts_s - 1.0 + 1e-9)]
    known = [share for share in shares if share is not None]
    return min(known) if known else None


def _detected_s(vitals: Vitals | None, from_s: float, to_s: float) -> float | None:
    """When the last worker's breaker was first seen open; None if one stayed closed, or nobody looked."""
    if vitals is None or not vitals.breakers:
        return None
    opened = []
    for line in vitals.breakers:
        seen = line.at_s[(line.at_s >= from_s) & (line.at_s <= to_s) & (line.values == OPEN)]
        if not len(seen):
            return None
        opened.append(float(seen[0]))
    return max(opened) - from_s


def _counter_back_s(vitals: Vitals | None, healed_s: float) -> float | None:
    if vitals is None or vitals.redis_stock is None:
        return None
    seen = vitals.redis_stock.at_s[vitals.redis_stock.at_s >= healed_s]
    return float(seen[0] - healed_s) if len(seen) else None


def _slowest_ms(course: Course, from_s: float, to_s: float) -> float | None:
    arrived_s = course.answered_s - course.latency_ms / 1e3
    values = course.latency_ms[(arrived_s >= from_s) & (arrived_s <= to_s)]
    return float(values.max()) if len(values) else None
