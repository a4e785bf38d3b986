"""``flashbench report``: write a report again from evidence."""

from __future__ import annotations

import typer

from benchmarks.cli.options import Folder


def report(folder: Folder) -> None:
    """Write report.html, report.md and report.json of a trial's or a suite's folder."""
    from reports.report import write_report  # here, since pandas and matplotlib are slow to load

    paths = write_report(folder, progress=typer.echo)
    if paths.targets:
        typer.echo(paths.targets)
    typer.echo(f"report: {paths.html}")
