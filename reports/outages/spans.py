"""The faults that a trial met, from their injection to their heal, and what the diary says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import PlannedFault
from reports.outages.faults import Hurts, hurts, said
from reports.outages.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Span:
    """A fault from its injection to its heal, in seconds since the release of the load.

    ``words`` are for people. ``bit_s`` and ``bite``: when it was seen to have taken effect, and what showed it; None
    and empty if nothing did. ``heal``: what showed that it was undone; one that never was lasts as long as the load.
    """

    fault: str
    from_s: float
    to_s: float
    place: int = 0
    words: str = ""
    hurts: Hurts = Hurts.UNKNOWN
    bit_s: float | None = None
    bite: str = ""
    healed: bool = False
    heal: str = ""


def spans(bundle: Bundle, began_ns: int, ended_s: float) -> tuple[Span, ...]:
    """The faults that were injected, in order."""
    found: dict[int, Span] = {}
    for event in bundle.faults:
        at_s = (event.at_ns - began_ns) / 1e9
        met = found.get(event.place)
        if event.step == "injected":
            plan = plan_of(bundle.trial.planned_faults, event.place, event.fault)
            options = plan.options if plan is not None else {}
            words, whom = said(event.fault, options), hurts(event.fault, options)
            found[event.place] = Span(event.fault, at_s, max(at_s, ended_s), event.place, words, whom)
        elif met is not None and event.step == "bit" and met.bit_s is None:
            found[event.place] = replace(met, bit_s=at_s, bite=event.detail)
        elif met is not None and event.step == "healed":
            found[event.place] = replace(met, to_s=max(at_s, met.from_s), healed=True, heal=event.detail)
    return tuple(sorted(found.values(), key=lambda span: (span.from_s, span.place)))


def unplanned(met: tuple[Span, ...], vitals: Vitals | None) -> tuple[tuple[float, float], ...]:
    """Spans in which Redis did not answer though no planned fault was on, in seconds since the release."""
    away = vitals.redis_away if vitals is not None else ()
    return tuple(span for span in away if span[1] > 0 and not any(_overlap(span, fault) for fault in met))


def plan_of(planned: tuple[PlannedFault, ...], place: int, fault: str) -> PlannedFault | None:
    """The planned fault, if it is the one that the diary tells of."""
    return planned[place] if place < len(planned) and planned[place].fault == fault else None


def _overlap(span: tuple[float, float], fault: Span) -> bool:
    slack_s = 0.5  # telemetry looks ten times a second, and waits for an answer
    return span[0] < fault.to_s + slack_s and span[1] > fault.from_s - slack_s
