"""Where faults are on a picture over time: a strip that names them, a lane each, and their shade in every panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from reports.latency.figures import TrialFigures
from reports.outages.targets import DETECTION_S
from reports.render.drawing import INK, WIDTH_IN

LANE_IN = 0.31
_TINTS = ("#D55E00", "#7B4FA3", "#00798C", "#8A6D00")  # of lanes; several faults at once lie over each other
_UNPLANNED = "#7f7f7f"
_CHARACTER_IN = 0.066  # of a lane's words
_AXIS_IN = WIDTH_IN - 1.1


@dataclass(frozen=True, slots=True)
class Lane:
    """One fault, however often it comes, from when to when."""

    words: str
    spans: tuple[tuple[float, float], ...]
    tint: str
    planned: bool = True


def lanes(trials: Sequence[TrialFigures]) -> tuple[Lane, ...]:
    """Planned faults as one of the trials met them, and every outage of Redis that nobody planned."""
    found: dict[str, list[tuple[float, float]]] = {}
    for span in max((each.spans for each in trials), key=len, default=()):
        found.setdefault(span.words, []).append((span.from_s, span.to_s))
    planned = [
        Lane(words, tuple(spans), _TINTS[place % len(_TINTS)]) for place, (words, spans) in enumerate(found.items())
    ]
    unplanned = tuple(sorted(span for each in trials for span in each.unplanned))
    return (*planned, *([Lane("Redis away, unplanned", unplanned, _UNPLANNED, planned=False)] if unplanned else []))


def draw_strip(axes: Axes, all_lanes: Sequence[Lane], ended_s: float) -> None:
    """A bar a span with its fault's name above; the time in which it may go unnoticed, though it be over, is darker."""
    axes.set_ylim(len(all_lanes), 0)
    axes.set_xlim(0, ended_s)
    axes.axis("off")
    for place, lane in enumerate(all_lanes):
        for from_s, to_s in lane.spans:
            unnoticed_s = min(DETECTION_S, ended_s - from_s) if lane.planned else 0.0
            axes.broken_barh([(from_s, to_s - from_s)], (place + 0.62, 0.3), facecolor=lane.tint, alpha=0.45, lw=0)
            axes.broken_barh([(from_s, unnoticed_s)], (place + 0.62, 0.3), facecolor=lane.tint, lw=0)
        words = lane.words + (f", {len(lane.spans)} times" if len(lane.spans) > 1 else "")
        begins = lane.spans[0][0]
        fits = (ended_s - begins) / ended_s * _AXIS_IN > _CHARACTER_IN * len(words)
        axes.text(
            begins if fits else ended_s,
            place + 0.56,
            words,
            ha="left" if fits else "right",
            va="bottom",
            fontsize=8,
            color=INK,
        )


def shade(axes: Axes, all_lanes: Sequence[Lane]) -> None:
    """Each span in its lane's tint, with a line where it began; what nobody planned is hatched."""
    for lane in all_lanes:
        for from_s, to_s in lane.spans:
            axes.axvspan(
                from_s, to_s, color=lane.tint, alpha=0.13 if lane.planned else 0.2, lw=0, hatch=_hatch(lane), zorder=0
            )
            if lane.planned:
                axes.axvline(from_s, color=lane.tint, lw=0.9, zorder=1)
                axes.axvline(to_s, color=lane.tint, lw=0.9, ls=(0, (2, 2)), zorder=1)


def _hatch(lane: Lane) -> str | None:
    return None if lane.planned else "//"


def told(all_lanes: Sequence[Lane]) -> str:
    """The same in words, for those who don't see the picture."""
    return "; ".join(
        f"{lane.words} " + ", ".join(f"from {from_s:.1f} s to {to_s:.1f} s" for from_s, to_s in lane.spans)
        for lane in all_lanes
    )
