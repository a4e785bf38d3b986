"""Panels over one time axis: what is drawn in each, and how trials of one strategy become a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.latency.figures import TrialFigures
from reports.outages.course import BIN_S, Floats
from reports.outages.vitals import Line
from reports.render.drawing import INK, WIDTH_IN, Picture, canvas, finished
from reports.render.fault_strip import LANE_IN, draw_strip, lanes, shade, told
from reports.render.latency_plots import latency_axis

_PANEL_IN, _GAP_IN = 0.82, 0.14
_LEFT_IN, _RIGHT_IN, _BOTTOM_IN, _LEGEND_IN, _TOP_IN = 0.98, 0.12, 0.48, 0.26, 0.08
_LABEL_IN = 0.62  # from an axis to its label
_WIDE_IN = WIDTH_IN - _LEFT_IN - _RIGHT_IN
_IN_A_LINE = 3  # names of strategies
_DECADES = 1.8  # of latency, up to which a panel has room for more than powers of ten
_OLDEST_S = 0.35  # of a reading that still says how things are: telemetry looks ten times a second

Trials = Mapping[str, Sequence[TrialFigures]]  # by strategy, in the order of drawing


@dataclass(frozen=True, slots=True)
class Look:
    """Colour and width of a strategy's line. ``threads``: behind it a thin line a trial, else their range."""

    tint: str
    width: float
    threads: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A value for each bin of a trial's course, nan where it is not known; None where nothing was recorded."""

    of: Callable[[TrialFigures], Floats | None]
    style: str = "-"
    name: str = ""  # shown in a panel of several curves
    aside: bool = False  # a thin line in the text's colour, which is seen even where it lies on another
    limit: tuple[float, str] | None = None  # what should not be exceeded, and what it is called


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes. ``if_any``: left out where all is 0 all the time."""

    label: str
    curves: tuple[Curve, ...]
    logarithmic: bool = False
    if_any: bool = False


def drawn(
    name: str,
    title: str,
    alt: str,
    panels: Sequence[Panel],
    trials: Trials,
    looks: Mapping[str, Look],
    *,
    png: bool = True,
) -> Picture:
    """The panels of which something was recorded, one below the other, with the faults above and behind."""
    everyone = [each for group in trials.values() for each in group]
    shown = [panel for panel in panels if _is_worth_drawing(panel, everyone)]
    all_lanes = lanes(everyone)
    strip_in = LANE_IN * len(all_lanes)
    legend_in = _LEGEND_IN * math.ceil(len(trials) / _IN_A_LINE) if len(trials) > 1 else 0.0
    ended_s = max(each.course.ended_s for each in everyone)
    height_in = _TOP_IN + legend_in + strip_in + (_PANEL_IN + _GAP_IN) * len(shown) - _GAP_IN + _BOTTOM_IN
    with canvas(height_in, laid_out=False) as figure:
        top_in = height_in - _TOP_IN - legend_in - strip_in
        if all_lanes:
            draw_strip(_axes(figure, top_in, strip_in), all_lanes, ended_s)
        for panel in shown:
            top_in -= _PANEL_IN
            axes = _axes(figure, top_in, _PANEL_IN)
            axes.set_xlim(0, ended_s)
            axes.tick_params(labelsize=9, labelbottom=panel is shown[-1])
            shade(axes, all_lanes)
            _draw(axes, panel, trials, looks)
            axes.yaxis.set_label_coords(-_LABEL_IN / _WIDE_IN, 0.5)
            top_in -= _GAP_IN
        axes.set_xlabel("seconds since the sale began", fontsize=9)
        if len(trials) > 1:
            handles = [Line2D([], [], color=looks[strategy].tint, lw=2) for strategy in trials]
            figure.legend(handles, list(trials), loc="upper center", ncols=_IN_A_LINE, frameon=False, borderpad=0)
        faults = f"; {told(all_lanes)}" if all_lanes else ""
        return finished(figure, name, title, f"{alt}{faults}", png=png)


def _axes(figure: Figure, bottom_in: float, height_in: float) -> Axes:
    """As wide as the figure allows, so high, and so far from its bottom."""
    wide, high = figure.get_size_inches()
    return figure.add_axes((_LEFT_IN / wide, bottom_in / high, _WIDE_IN / wide, height_in / high))


def held(line: Line | None, bins_s: Floats) -> Floats | None:
    """A state in each bin: the last that was read by its end, unless that is too long ago to say."""
    if line is None:
        return None
    ends_s = bins_s + BIN_S
    places = np.searchsorted(line.at_s, ends_s, side="right") - 1
    known = (places >= 0) & (ends_s - line.at_s[places] <= _OLDEST_S)
    return np.where(known, line.values[places], np.nan)


def mean(values: Sequence[Floats]) -> Floats:
    """Of those that are known in each bin, as far as the longest goes; nan where none is."""
    stacked = _stacked(values)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(1, known.sum(axis=0)), np.nan)


def _stacked(values: Sequence[Floats]) -> Floats:
    """Shape (lines, bins of the longest); nan where one has ended."""
    stacked = np.full((len(values), max(len(each) for each in values)), np.nan)
    for row, each in zip(stacked, values, strict=True):
        row[: len(each)] = each
    return stacked


def _is_worth_drawing(panel: Panel, trials: Sequence[TrialFigures]) -> bool:
    return any(values.any() or not panel.if_any for curve in panel.curves for values in _known(curve, trials))


def _known(curve: Curve, trials: Sequence[TrialFigures]) -> list[Floats]:
    """The curve's values in each trial that has any, without those that are not known."""
    values = [found[~np.isnan(found)] for found in map(curve.of, trials) if found is not None]
    return [each for each in values if len(each)]


def _draw(axes: Axes, panel: Panel, trials: Trials, looks: Mapping[str, Look]) -> None:
    axes.set_ylabel(panel.label, fontsize=9)
    axes.grid(visible=True, axis="y")
    everyone = [each for group in trials.values() for each in group]
    curves = [curve for curve in panel.curves if _known(curve, everyone)]
    tops = [
        _line(axes, [found for found in map(curve.of, group) if found is not None], looks[strategy], curve)
        for strategy, group in trials.items()
        for curve in curves
    ]
    if panel.logarithmic:
        latency_axis(axes, most_decades=_DECADES)
    else:
        axes.set_ylim(0, (1.3 if len(curves) > 1 else 1.06) * max(1.0, *tops))  # with room for a legend
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for level, words in filter(None, (curve.limit for curve in curves)):
        axes.axhline(level, color=INK, lw=0.8, ls=(0, (4, 3)), alpha=0.6)
        axes.set_ylim(0, max(axes.get_ylim()[1], 1.5 * level))
        axes.annotate(words, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)
    if len(curves) > 1:
        handles = [Line2D([], [], color=INK, ls=curve.style, lw=1.3) for curve in curves]
        axes.legend(
            handles,
            [curve.name for curve in curves],
            loc="upper left",
            ncols=len(handles),
            fontsize=8,
            frameon=False,
            borderaxespad=0.1,
            handlelength=1.6,
        )


def _line(axes: Axes, trials: Sequence[Floats], look: Look, curve: Curve) -> float:
    """The mean over the trials of each bin, and behind it what it is the mean of; the greatest value."""
    if not trials:
        return 0.0
    middle = mean(trials)
    at_s = (np.arange(len(middle)) + 0.5) * BIN_S
    if curve.aside:
        axes.plot(at_s, middle, color=INK, ls=curve.style, lw=0.9, alpha=0.7)
        return float(np.nanmax(middle)) if not np.isnan(middle).all() else 0.0
    if look.threads and len(trials) > 1:
        for each in trials:
            axes.plot(at_s[: len(each)], each, color=look.tint, ls=curve.style, lw=0.7, alpha=0.4)
    elif len(trials) > 1:
        stacked = _stacked(trials)
        known = ~np.isnan(stacked)
        least, most = np.where(known, stacked, np.inf).min(axis=0), np.where(known, stacked, -np.inf).max(axis=0)
        axes.fill_between(at_s, least, most, where=known.any(axis=0), color=look.tint, alpha=0.15, lw=0)
    axes.plot(at_s, middle, color=look.tint, ls=curve.style, lw=look.width)
    return max((float(each[~np.isnan(each)].max()) for each in trials if not np.isnan(each).all()), default=0.0)
