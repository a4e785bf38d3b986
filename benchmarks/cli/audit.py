"""``flashbench audit``: derive a verdict again, offline, from nothing but a folder."""

from __future__ import annotations

import typer

from benchmarks.cli.options import Folder, Json
from flashbench.errors import UsageError
from flashbench.evidence.documents import SUITE
from reports.judging.text import describe, describe_suite


def audit(folder: Folder, as_json: Json = False) -> None:
    """Judge a trial's or a suite's folder again, with the same exit codes as the run that made it."""
    from flashbench.evidence.bundle import looks_like_a_trial  # here, since pandas is slow to load
    from reports.judging import judge, judge_suite

    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r}.")
    if (folder / SUITE).is_file() or not looks_like_a_trial(folder):
        suite = judge_suite(folder)
        typer.echo(suite.to_json() if as_json else describe_suite(suite), nl=False)
        raise typer.Exit(suite.exit_code)
    verdict = judge(folder)
    typer.echo(verdict.to_json() if as_json else describe(verdict), nl=False)
    raise typer.Exit(verdict.exit_code)
