"""Writes a report: ``report.html``, ``.md`` and ``.json``, ``junit.xml`` and the plots, beside the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import Outcome
from reports.places import places
from reports.render.drawing import Gallery
from reports.render.figures_json import as_json
from reports.render.junit import junit
from reports.render.latency_plots import percentile_curves
from reports.render.markdown import markdown
from reports.render.page import page
from reports.render.time_plots import course_of_sale, outage_timeline
from reports.summary import Summary, summarize

PLOTS = "plots"


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report is."""

    html: Path
    markdown: Path
    json: Path
    junit: Path
    plots: tuple[Path, ...]


def write_report(folder: Path, progress: Callable[[str], None] = lambda _: None) -> ReportPaths:
    """Judge the evidence in a trial's or a suite's folder, and write what there is to say of it.

    UsageError if the folder holds no evidence, or can't be written to.
    """
    summary = summarize(folder, progress)
    progress("drawing")
    drawn = pictures(summary)
    paths = ReportPaths(
        html=folder / "report.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
        junit=folder / "junit.xml",
        plots=tuple(folder / PLOTS / f"{each.name}.{kind}" for each in drawn.all for kind in ("svg", "png")),
    )
    try:
        paths.html.write_text(page(summary, drawn))
        paths.markdown.write_text(markdown(summary))
        paths.json.write_text(as_json(summary))
        paths.junit.write_text(junit(summary.verdict))
        if drawn.all:
            (folder / PLOTS).mkdir(exist_ok=True)
        for each in drawn.all:
            (folder / PLOTS / f"{each.name}.svg").write_text(each.svg.replace("currentColor", "#333"))
            (folder / PLOTS / f"{each.name}.png").write_bytes(each.png)
    except OSError as error:
        raise UsageError(f"the report can't be written to {folder} ({error.strerror}): copy it elsewhere.") from error
    return paths


def pictures(summary: Summary) -> Gallery:
    """Every plot that the evidence supports."""
    place = places(summary.strategy_names)
    cases = dict.fromkeys(row.case for row in summary.strategies)
    curves = [
        percentile_curves(summary.strategies, outcome, case, place)
        for case in cases
        for outcome in (Outcome.SOLD, Outcome.SOLD_OUT, Outcome.LIMITED)
    ]
    return Gallery(
        outages=tuple(
            outage_timeline(case, {row.strategy: row.trials for row in summary.outage_rows(case)}, place)
            for case in summary.outage_cases
        ),
        latency=tuple(picture for picture in curves if picture is not None),
        courses=tuple(course_of_sale(case, summary.trials_compared(case), place) for case in cases),
    )
