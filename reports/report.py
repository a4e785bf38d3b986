"""Writes a report: ``report.html``, ``.md`` and ``.json``, ``junit.xml``, plots and outages' pages, by the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import Outcome
from reports.matrix import Cell, FaultCase, Matrix, matrix
from reports.places import places
from reports.render import matrix_words
from reports.render.distance_plots import ranking_plot
from reports.render.drawing import Gallery
from reports.render.figures_json import as_json
from reports.render.junit import junit
from reports.render.latency_plots import percentile_curves
from reports.render.markdown import markdown
from reports.render.outage_pages import case_page, cell_page
from reports.render.page import page
from reports.render.time_plots import cell_timeline, course_of_sale, outage_timeline
from reports.round_trips import round_trips
from reports.summary import Summary, summarize

PLOTS = "plots"
OUTAGES = "outages"


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report is, and what it says of targets in a sentence, if of any.

    ``outages``: the pages of the matrix' cells, and of its rows if there are many.
    """

    html: Path
    markdown: Path
    json: Path
    junit: Path
    plots: tuple[Path, ...]
    outages: tuple[Path, ...]
    targets: str


def write_report(folder: Path, progress: Callable[[str], None] = lambda _: None) -> ReportPaths:
    """Judge the evidence in a trial's or a suite's folder, and write what there is to say of it.

    UsageError if the folder holds no evidence, or can't be written to.
    """
    summary = summarize(folder, progress)
    progress("drawing")
    found = matrix(summary)
    drawn = pictures(summary)
    paths = ReportPaths(
        html=folder / "report.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
        junit=folder / "junit.xml",
        plots=tuple(folder / PLOTS / f"{each.name}.{kind}" for each in drawn.all for kind in ("svg", "png")),
        outages=tuple(folder / OUTAGES / name for name in _pages(found)),
        targets=matrix_words.targets(found),
    )
    try:
        paths.html.write_text(page(summary, found, drawn))
        paths.markdown.write_text(markdown(summary, found))
        paths.json.write_text(as_json(summary, found))
        paths.junit.write_text(junit(summary.verdict))
        if drawn.all:
            (folder / PLOTS).mkdir(exist_ok=True)
        for each in drawn.all:
            (folder / PLOTS / f"{each.name}.svg").write_text(each.svg.replace("currentColor", "#333"))
            (folder / PLOTS / f"{each.name}.png").write_bytes(each.png)
        _write_pages(folder / OUTAGES, summary, found, drawn, progress)
    except OSError as error:
        raise UsageError(f"the report can't be written to {folder} ({error.strerror}): copy it elsewhere.") from error
    return paths


def pictures(summary: Summary) -> Gallery:
    """Every plot that the evidence supports, but for those of single cells."""
    place = places(summary.strategy_names)
    cases = dict.fromkeys(row.case for row in summary.strategies)
    curves = [
        percentile_curves(summary.strategies, outcome, case, place)
        for case in cases
        for outcome in (Outcome.SOLD, Outcome.SOLD_OUT, Outcome.LIMITED)
    ]
    return Gallery(
        outages={
            case: outage_timeline(case, {row.strategy: row.trials for row in summary.outage_rows(case)}, place)
            for case in summary.outage_cases
        },
        latency=tuple(picture for picture in curves if picture is not None),
        courses=tuple(course_of_sale(case, summary.trials_compared(case), place) for case in cases),
        distances=tuple(ranking_plot(each, place, number) for number, each in enumerate(round_trips(summary), start=1)),
    )


def _pages(found: Matrix) -> list[str]:
    """The names of all pages of outages."""
    return [*(cell.page for cell in found.cells), *(row.page for row in found.rows if found.is_large)]


def _write_pages(
    folder: Path, summary: Summary, found: Matrix, drawn: Gallery, progress: Callable[[str], None]
) -> None:
    """One at a time: the pictures of many cells are not all held at once."""
    if found.rows:
        folder.mkdir(exist_ok=True)
    count = 0
    for row in found.rows:
        for cell in filter(None, row.cells):
            count += 1
            progress(f"page {count} of {len(found.cells)} of outages")
            (folder / cell.page).write_text(_cell(summary, row, cell))
    for row in found.rows if found.is_large else ():
        (folder / row.page).write_text(case_page(summary, row, drawn.outages.get(row.case)))


def _cell(summary: Summary, row: FaultCase, cell: Cell) -> str:
    place = places(summary.strategy_names)
    picture = cell_timeline(cell.case, cell.strategy, cell.outage.trials, place) if cell.outage is not None else None
    return cell_page(summary, row, cell, picture)
