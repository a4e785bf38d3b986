"""What happened when: panels over the same time axis, a line a strategy, with the faults shaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from flashbench.vocabulary import Outcome
from reports.latency.figures import TrialFigures
from reports.outages.course import BIN_S, Floats
from reports.outages.vitals import OPEN, Line
from reports.render.drawing import Picture, canvas, finished
from reports.render.latency_plots import latency_axis
from reports.render.palette import colour

_PANEL_IN = 1.15
_FAULT, _UNPLANNED = "#D55E00", "#7f7f7f"


@dataclass(frozen=True, slots=True)
class _Look:
    """Colour and width of a strategy's line; the first is the widest, so that none hides another."""

    tint: str
    width: float


_Draw = Callable[[Axes, Sequence["TrialFigures"], _Look], bool]
Trials = Mapping[str, Sequence[TrialFigures]]  # by strategy, in the order of drawing
Places = Mapping[str, int]


def outage_timeline(case: str, trials: Trials, place: Places) -> Picture:
    """One case with faults: goodput, latency, errors, breakers and stock of each strategy on the same axes."""
    panels: list[tuple[str, _Draw]] = [
        ("decided/s", _goodput),
        ("p95, ms", _latency),
        ("errors/s", _errors),
        ("breakers\nopen", _breakers),
        ("units left\nin Postgres", lambda axes, group, look: _stock(axes, group, look, "postgres_stock")),
        ("units left\nin Redis", lambda axes, group, look: _stock(axes, group, look, "redis_stock")),
    ]
    return _panels(
        f"timeline-{case}",
        f"{case}: what buyers and stores saw",
        f"Over the seconds of the load, with the fault shaded: decisions per second, 95th percentile of latency, "
        f"failed tries, open circuit breakers and units left, a line for each of {', '.join(trials)}",
        panels,
        trials,
        place,
    )


def course_of_sale(case: str, trials: Trials, place: Places) -> Picture:
    """One case without faults: sales and refusals per second, and what is left."""
    panels: list[tuple[str, _Draw]] = [
        ("sold/s", lambda axes, group, look: _rates(axes, group, look, lambda each: each.course.sold)),
        ("refused/s", lambda axes, group, look: _rates(axes, group, look, lambda each: each.course.refused)),
        ("units left\nin Postgres", lambda axes, group, look: _stock(axes, group, look, "postgres_stock")),
        ("units left\nin Redis", lambda axes, group, look: _stock(axes, group, look, "redis_stock")),
    ]
    return _panels(
        f"course-{case}",
        f"{case}: throughput and stock",
        f"Over the seconds of the load: sales and refusals per second and units left, a line for each of "
        f"{', '.join(trials)}",
        panels,
        trials,
        place,
    )


def _panels(
    name: str,
    title: str,
    alt: str,
    panels: Sequence[tuple[str, _Draw]],
    trials: Trials,
    place: Places,
) -> Picture:
    with canvas(0.7 + _PANEL_IN * len(panels)) as figure:
        rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        everyone = [each for group in trials.values() for each in group]
        for axes, (label, draw) in zip(rows, panels, strict=True):
            axes.set_ylabel(label, fontsize=9)
            axes.grid(visible=True, axis="y")
            drawn = [draw(axes, group, look) for look, group in _looks(trials, place)]
            if not any(drawn):
                axes.text(0.5, 0.5, "nothing recorded", transform=axes.transAxes, ha="center", va="center", fontsize=9)
                axes.set_yticks([])
            elif axes.get_yscale() == "linear":
                axes.set_ylim(0, 1.06 * max(1.0, float(axes.dataLim.y1)))
                axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            _shade(axes, everyone, labelled=axes is rows[0])
        rows[0].set_xlim(0, max(each.course.ended_s for each in everyone))
        rows[-1].set_xlabel("seconds since the sale began")
        handles = [rows[0].plot([], [], color=colour(place[strategy]), lw=2)[0] for strategy in trials]
        figure.legend(handles, list(trials), loc="outside upper center", ncols=min(3, len(handles)), frameon=False)
        figure.align_ylabels()
        return finished(figure, name, title, alt)


def _looks(trials: Trials, place: Places) -> list[tuple[_Look, Sequence[TrialFigures]]]:
    widths = np.linspace(3.4, 1.3, len(trials)) if len(trials) > 1 else [1.8]
    return [
        (_Look(colour(place[strategy]), float(width)), group)
        for width, (strategy, group) in zip(widths, trials.items(), strict=True)
    ]


def _shade(axes: Axes, trials: Sequence[TrialFigures], *, labelled: bool) -> None:
    """Planned faults as the first trial met them, and every outage of Redis that nobody planned."""
    planned = trials[0].spans
    for span in planned:
        axes.axvspan(span.from_s, span.to_s, color=_FAULT, alpha=0.14, lw=0)
        if labelled:
            middle = (span.from_s + span.to_s) / 2
            axes.annotate(span.fault, (middle, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", size=8)
    for trial in trials:
        for from_s, to_s in trial.unplanned:
            axes.axvspan(from_s, to_s, color=_UNPLANNED, alpha=0.2, lw=0, hatch="//")
            if labelled:
                place = ((from_s + to_s) / 2, 1)
                axes.annotate(
                    "Redis away, unplanned", place, xycoords=("data", "axes fraction"), ha="center", va="bottom", size=8
                )


def _goodput(axes: Axes, trials: Sequence[TrialFigures], look: _Look) -> bool:
    return _rates(axes, trials, look, lambda each: each.course.sold + each.course.refused)


def _rates(axes: Axes, trials: Sequence[TrialFigures], look: _Look, of: Callable[[TrialFigures], Floats]) -> bool:
    _bins(axes, [of(each) for each in trials], look)
    return True


def _latency(axes: Axes, trials: Sequence[TrialFigures], look: _Look) -> bool:
    _bins(axes, [each.course.p95_ms for each in trials], look)
    latency_axis(axes)
    return True


def _errors(axes: Axes, trials: Sequence[TrialFigures], look: _Look) -> bool:
    _bins(axes, [each.course.errors_per_s(Outcome.FAILED) for each in trials], look)
    _bins(axes, [each.course.errors_per_s(Outcome.UNKNOWN) for each in trials], look, style=":")
    return True


def _breakers(axes: Axes, trials: Sequence[TrialFigures], look: _Look) -> bool:
    shares = []
    for each in trials:
        if each.vitals is not None and each.vitals.breakers:
            states = [_held(line, each.course.bins_s) for line in each.vitals.breakers]
            shares.append(np.mean([state == OPEN for state in states], axis=0))
    _bins(axes, shares, look)
    return bool(shares)


def _stock(axes: Axes, trials: Sequence[TrialFigures], look: _Look, store: str) -> bool:
    lines: list[Line | None] = [getattr(each.vitals, store) for each in trials if each.vitals is not None]
    for line in lines:
        if line is not None:
            gaps = np.flatnonzero(np.diff(line.at_s) > 0.5) + 1
            at_s, values = np.insert(line.at_s, gaps, np.nan), np.insert(line.values, gaps, np.nan)
            axes.plot(at_s, values, color=look.tint, lw=look.width)
    return any(line is not None for line in lines)


def _bins(axes: Axes, trials: Sequence[Floats], look: _Look, style: str = "-") -> None:
    """The mean over the trials of each bin, with the range of the trials behind it."""
    if not trials:
        return
    length = min(len(values) for values in trials)
    stacked = np.array([values[:length] for values in trials])
    known = ~np.isnan(stacked)
    at_s = (np.arange(length) + 0.5) * BIN_S
    mean = np.where(known, stacked, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), 1)
    mean[~known.any(axis=0)] = np.nan
    axes.plot(at_s, mean, color=look.tint, ls=style, lw=look.width)
    if len(trials) > 1:
        least = np.where(known, stacked, np.inf).min(axis=0)
        most = np.where(known, stacked, -np.inf).max(axis=0)
        axes.fill_between(at_s, least, most, where=known.any(axis=0), color=look.tint, alpha=0.15, lw=0)


def _held(line: Line, at_s: Floats) -> Floats:
    """A state at given moments: the last that was read before."""
    places = np.clip(np.searchsorted(line.at_s, at_s + BIN_S / 2, side="right") - 1, 0, len(line.values) - 1)
    return line.values[places]
