"""Latency against percentile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flashbench.vocabulary import Outcome
from reports.latency.figures import StrategyFigures
from reports.render.drawing import Picture, canvas, finished
from reports.render.palette import colour, dashes

_DIGITS = ((0.5, tuple(range(1, 10))), (0.9, (2, 3, 5, 7)))  # labelled where an axis spans fewer decades


def percentile_curves(
    rows: Sequence[StrategyFigures], outcome: Outcome, case: str, place: Mapping[str, int]
) -> Picture | None:
    """Latency against percentile, a line a strategy; None if no strategy has enough of this outcome."""
    drawn = [row for row in rows if row.case == case and row.curves[outcome]]
    if not drawn:
        return None
    words = outcome.value.replace("_", " ")
    with canvas(3.3) as figure:
        axes = figure.add_subplot()
        for row in sorted(drawn, key=lambda row: place[row.strategy]):
            nines = [-math.log10(1 - share) for share, _ in row.curves[outcome]]
            axes.plot(
                nines,
                [value for _, value in row.curves[outcome]],
                color=colour(place[row.strategy]),
                dashes=dashes(place[row.strategy]) or (None, None),
                linewidth=2,
                label=row.strategy,
            )
        _percentile_axis(axes, max(-math.log10(1 - row.curves[outcome][-1][0]) for row in drawn))
        latency_axis(axes)
        axes.set_ylabel("intended start to answer, ms")
        axes.grid(visible=True)
        axes.legend(frameon=False, loc="lower right")
        return finished(
            figure,
            name=f"latency-{case}-{outcome.value}",
            title=f"{case}: purchases that ended {words}",
            alt=f"Latency by percentile of purchases that ended {words}, a line for each of "
            f"{', '.join(row.strategy for row in drawn)}",
        )


def latency_axis(axes: Axes, *, most_decades: float = 3.0) -> None:
    """Logarithmic, with plain numbers: those of all digits that there is room for over so many decades."""
    axes.set_yscale("log")
    least, most = axes.get_ylim()
    decades = math.log10(most / least)
    digits = next((digits for limit, digits in _DIGITS if decades < limit), (1, 2, 5) if decades < most_decades else ())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: _digit(value, digits)))


def _percentile_axis(axes: Axes, most: float) -> None:
    """Equal room for each further nine, as HdrHistogram's plots have it."""
    ticks = {0.5: "50 %", 0.9: "90 %", 0.99: "99 %", 0.999: "99.9 %", 0.9999: "99.99 %", 0.99999: "99.999 %"}
    shown = {-math.log10(1 - share): text for share, text in ticks.items() if -math.log10(1 - share) <= most * 1.02}
    axes.set_xlim(0, most)
    axes.xaxis.set_major_locator(FixedLocator(list(shown)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown.get(value, "")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("percentile of purchases")


def _digit(value: float, digits: Sequence[int]) -> str:
    """Between powers of ten only these are labelled."""
    return f"{value:g}" if round(value / 10 ** math.floor(math.log10(value))) in digits else ""
