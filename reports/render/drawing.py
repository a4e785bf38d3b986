"""How every picture is drawn: its style, and how it becomes SVG that takes its text colour from the page, and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH_IN = 5.4  # narrow enough for a phone to show its text at a readable size

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


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of a report, by what they show."""

    outages: tuple[Picture, ...]
    latency: tuple[Picture, ...]
    courses: tuple[Picture, ...]

    @property
    def all(self) -> tuple[Picture, ...]:
        return (*self.outages, *self.latency, *self.courses)


@contextmanager
def canvas(height_in: float) -> Iterator[Figure]:
    """An empty figure in the common style; draw and finish it within the context."""
    with rc_context(_STYLE):
        yield Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def finished(figure: Figure, name: str, title: str, alt: str) -> Picture:
    """The figure as a picture."""
    return Picture(name, title, alt, _svg(figure), _png(figure))


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
