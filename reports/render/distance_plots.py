"""How the round trip to the stores changes the ranking, as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.latency.figures import StrategyFigures
from reports.render.drawing import Picture, canvas, finished
from reports.render.latency_plots import latency_axis
from reports.render.palette import colour, dashes
from reports.round_trips import RoundTrips, sold_p95_ms

_Point = tuple[float, float, float]  # the mean, and its range


def ranking_plot(found: RoundTrips, place: Mapping[str, int], number: int) -> Picture | None:
    """Sales per second and p95 of sold against the round trip, a line a strategy; None if nothing was sold.

    ``number`` tells it from the suite's others.
    """
    if not any(each.ranking for each in found.distances):
        return None
    with canvas(4.6) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        for strategy in sorted(found.strategies, key=place.__getitem__):
            _plot(above, found, strategy, place[strategy], _sales)
            _plot(below, found, strategy, place[strategy], _p95)
        above.set_ylim(0, 1.08 * above.dataLim.y1)
        above.set_ylabel("sales/s")
        if below.lines:
            latency_axis(below)
        below.set_ylabel("p95 of sold, ms")
        _distance_axis(below, [found.at_ms(each) for each in found.distances])
        below.set_xlabel(f"round trip to the stores, ms ({'measured' if found.measured else 'as it was set'})")
        for axes in (above, below):
            axes.grid(visible=True)
        figure.legend(*above.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        return finished(
            figure,
            f"round-trips-{number}-{found.scenario}",
            f"{found.scenario}: what a round trip to the stores costs",
            f"Sales per second and 95th percentile of latency of sales at {len(found.distances)} round trips, a line"
            f" for each of {', '.join(found.strategies)}",
        )


def _sales(row: StrategyFigures) -> _Point | None:
    rate = row.sales_per_s
    return (rate.mean, rate.least, rate.greatest) if rate is not None else None


def _p95(row: StrategyFigures) -> _Point | None:
    value = sold_p95_ms(row)
    return (value, value, value) if value is not None else None


def _plot(
    axes: Axes, found: RoundTrips, strategy: str, place: int, of: Callable[[StrategyFigures], _Point | None]
) -> None:
    """A point a round trip, with its range, and a line through them."""
    points = [
        (found.at_ms(each), *point)
        for each in found.distances
        if (row := each.of(strategy)) is not None and (point := of(row)) is not None
    ]
    if not points:
        return
    at_ms, middle, least, greatest = zip(*points, strict=True)
    axes.plot(
        at_ms, middle, color=colour(place), dashes=dashes(place) or (None, None), marker="o", ms=4, lw=2, label=strategy
    )
    axes.vlines(at_ms, least, greatest, color=colour(place), lw=1.2)


def _distance_axis(axes: Axes, at_ms: list[float]) -> None:
    """By the square root, so that what is near is not crowded together, and 0 can be shown."""
    axes.set_xscale("function", functions=(lambda ms: np.sqrt(np.maximum(ms, 0.0)), np.square))
    axes.set_xlim(0, 1.05 * max(*at_ms, 0.1))
    axes.xaxis.set_major_locator(FixedLocator(at_ms))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
