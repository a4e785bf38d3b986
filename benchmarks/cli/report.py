"""``flashbench report``: write a report again from evidence."""

from __future__ import annotations

import typer

from benchmarks.cli.options import Folder
from reports.report import write_report


def report(folder: Folder) -> None:
    """Write report.html, report.md and report.json of a trial's or a suite's folder."""
    paths = write_report(folder, progress=typer.echo)
    typer.echo(f"report: {paths.html}")
