"""How every picture is drawn: its style, and how it becomes SVG that takes its text colour from the page, and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.names import file_name

WIDTH_IN = 5.4  # narrow enough for a phone to show its text at a readable size

INK = "#0b1c2d"  # stands for the page's own text colour in the SVG
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flashbench",  # the same picture, the same bytes
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,  # names and options are nobody's formulas
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
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
    png: bytes  # empty if it is only shown on a page


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of a report, by what they show; those of outages by their case.

    ``distances``: one for each load over several round trips to the stores, None where nothing was sold.
    """

    outages: Mapping[str, Picture]
    latency: tuple[Picture, ...]
    courses: tuple[Picture, ...]
    distances: tuple[Picture | None, ...]

    @property
    def all(self) -> tuple[Picture, ...]:
        distances = (each for each in self.distances if each is not None)
        return (*self.outages.values(), *self.latency, *self.courses, *distances)


@contextmanager
def canvas(height_in: float, *, laid_out: bool = True) -> Iterator[Figure]:
    """An empty figure in the common style; draw and finish it within the context.

    Unless it is ``laid_out``, who draws it sees to its margins: to have them found takes as long as to draw it.
    """
    with rc_context(_STYLE):
        yield Figure(figsize=(WIDTH_IN, height_in), layout="constrained" if laid_out else None)


def finished(figure: Figure, name: str, title: str, alt: str, *, png: bool = True) -> Picture:
    """The figure as a picture; its name becomes one that a file can have."""
    return Picture(file_name(name), title, alt, _svg(figure), _png(figure) if png else b"")


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Sized by the page; the view box keeps the shape.
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()
