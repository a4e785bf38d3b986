"""The pictures, as SVG that takes its text colour from the page, and as PNG for everything else."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from flashbench.vocabulary import Outcome
from reports.latency.figures import StrategyFigures
from reports.render.palette import colour, dashes, places

_INK = "#0b1c2d"  # stands for the page's own text colour in the SVG
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flashbench",  # the same picture, the same bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot: ``svg`` without XML prolog, fit to be put into a page; ``alt`` says what there is to see."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes


def percentile_curves(rows: Sequence[StrategyFigures], outcome: Outcome, case: str) -> Picture | None:
    """Latency against percentile, a line a strategy; None if no strategy has enough of this outcome."""
    drawn = [row for row in rows if row.case == case and row.curves[outcome]]
    if not drawn:
        return None
    place = places(row.strategy for row in rows)
    words = outcome.value.replace("_", " ")
    with rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
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
        _latency_axis(axes)
        axes.grid(visible=True)
        axes.legend(frameon=False, loc="lower right")
        return Picture(
            name=f"latency-{case}-{outcome.value}",
            title=f"Purchases that ended {words}",
            alt=f"Latency by percentile of purchases that ended {words}, a line for each of "
            f"{', '.join(row.strategy for row in drawn)}",
            svg=_svg(figure),
            png=_png(figure),
        )


def _percentile_axis(axes: Axes, most: float) -> None:
    """Equal room for each further nine, as HdrHistogram's plots have it."""
    ticks = {0.5: "50 %", 0.9: "90 %", 0.99: "99 %", 0.999: "99.9 %", 0.9999: "99.99 %", 0.99999: "99.999 %"}
    shown = {-math.log10(1 - share): text for share, text in ticks.items() if -math.log10(1 - share) <= most * 1.02}
    axes.set_xlim(0, most)
    axes.xaxis.set_major_locator(FixedLocator(list(shown)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown.get(value, "")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("percentile of purchases")


def _latency_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(_halves))
    axes.set_ylabel("intended start to answer, ms")


def _halves(value: float, _: int) -> str:
    """Between powers of ten only 2 and 5 are labelled."""
    digit = round(value / 10 ** math.floor(math.log10(value)))
    return f"{value:g}" if digit in (2, 5) else ""


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Sized by the page; the view box keeps the shape.
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()
