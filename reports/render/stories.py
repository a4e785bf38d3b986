"""The smallest story of a violation as a diagram: a row an event, with a bar from when to when."""

from __future__ import annotations

from dataclasses import dataclass

from flashbench.evidence.documents import FindingDocument, StoryEvent

_LEAST_WIDTH = 0.8  # of a bar, in percent of the diagram


@dataclass(frozen=True, slots=True)
class Lane:
    """One event. ``left`` and ``width`` in percent of the diagram; ``open_ended``: no answer came."""

    event: StoryEvent
    when: str
    left: float
    width: float
    open_ended: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """A finding's story. ``scale`` says what the bars measure; empty if no event has a moment."""

    finding: FindingDocument
    lanes: tuple[Lane, ...]
    scale: str


def diagram(finding: FindingDocument) -> Diagram | None:
    """None for a finding without a story."""
    if finding.story is None:
        return None
    events = finding.story.events
    moments = [moment for each in events for moment in (each.from_ms, each.to_ms) if moment is not None]
    if not moments:
        return Diagram(finding, tuple(Lane(each, "", 0.0, 0.0, False) for each in events), "")
    first, last = min(moments), max(moments)
    length = max(last - first, 1e-3) * 1.04  # room for what never ended
    lanes = tuple(_lane(each, first, length) for each in events)
    return Diagram(finding, lanes, f"{first:,.1f} to {last:,.1f} ms")


def _lane(event: StoryEvent, first: float, length: float) -> Lane:
    if event.from_ms is None:
        return Lane(event, "", 0.0, 0.0, False)
    left = 100 * (event.from_ms - first) / length
    if event.kind == "order":
        return Lane(event, f"{event.from_ms:,.1f}", left, _LEAST_WIDTH, False)
    if event.to_ms is None:
        return Lane(event, f"{event.from_ms:,.1f} – …", left, 100 - left, True)
    width = max(100 * (event.to_ms - event.from_ms) / length, _LEAST_WIDTH)
    return Lane(event, f"{event.from_ms:,.1f} – {event.to_ms:,.1f}", left, width, False)
