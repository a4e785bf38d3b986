"""Ratios of two runs with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.ticker import FuncFormatter, MultipleLocator

from reports.comparison.differences import Row
from reports.render.drawing import Picture, canvas, finished
from reports.render.palette import colour

_ROW_IN = 0.24


def ratio_plot(rows: Sequence[Row], place: Mapping[str, int], minimum: float) -> Picture | None:
    """New over base, a line a metric and strategy, filled where a difference is called; None without a figure."""
    drawn = [row for row in rows if row.found is not None]
    if not drawn:
        return None
    with canvas(1.0 + _ROW_IN * len(drawn)) as figure:
        axes = figure.add_subplot()
        axes.axvspan(1 - minimum, 1 + minimum, color="#7f7f7f", alpha=0.12, lw=0)
        axes.axvline(1, color="#7f7f7f", lw=1)
        for height, row in enumerate(drawn):
            assert row.found is not None
            tint = colour(place[row.strategy])
            if row.found.has_interval:
                axes.plot([row.found.least, row.found.greatest], [height, height], color=tint, lw=2)
            axes.plot(row.found.ratio, height, "o", color=tint, mfc=tint if row.called else "none", ms=6)
        axes.set_yticks(
            range(len(drawn)), [f"{row.case}, {row.strategy}: {row.metric.name}" for row in drawn], fontsize=8
        )
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MultipleLocator(0.25))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("new ÷ base")
        axes.grid(visible=True, axis="x")
        return finished(
            figure,
            "differences",
            "New over base, with 95 % intervals",
            f"Ratio of new to base for {len(drawn)} figures; {sum(row.called for row in drawn)} differences are called",
        )
