"""Writes a report: ``report.html``, ``report.md``, ``report.json`` and the plots, into the folder of the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import Outcome
from reports.render.figures_json import as_json
from reports.render.markdown import markdown
from reports.render.page import page
from reports.render.plots import Picture, percentile_curves
from reports.summary import Summary, summarize

PLOTS = "plots"


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report is."""

    html: Path
    markdown: Path
    json: Path
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
        plots=tuple(folder / PLOTS / f"{each.name}.{kind}" for each in drawn for kind in ("svg", "png")),
    )
    try:
        paths.html.write_text(page(summary, drawn))
        paths.markdown.write_text(markdown(summary))
        paths.json.write_text(as_json(summary))
        if drawn:
            (folder / PLOTS).mkdir(exist_ok=True)
        for each in drawn:
            (folder / PLOTS / f"{each.name}.svg").write_text(each.svg.replace("currentColor", "#333"))
            (folder / PLOTS / f"{each.name}.png").write_bytes(each.png)
    except OSError as error:
        raise UsageError(f"the report can't be written to {folder} ({error.strerror}): copy it elsewhere.") from error
    return paths


def pictures(summary: Summary) -> list[Picture]:
    """Every plot that the evidence supports."""
    cases = dict.fromkeys(row.case for row in summary.strategies)
    found = [
        percentile_curves(summary.strategies, outcome, case)
        for case in cases
        for outcome in (Outcome.SOLD, Outcome.SOLD_OUT)
    ]
    return [picture for picture in found if picture is not None]
