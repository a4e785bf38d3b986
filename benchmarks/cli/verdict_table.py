"""What a suite showed, on a terminal: the report, a table of verdicts, and the suite's own verdict last."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from flashbench.errors import UsageError
from flashbench.evidence.documents import FindingDocument, SuiteVerdict, VerdictDocument
from flashbench.vocabulary import ExitCode, Verdict

if TYPE_CHECKING:
    from reports.comparison.compared import Comparison

COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNPROVEN: "yellow"}


def print_suite(folder: Path, console: Console) -> ExitCode:
    """Judge the suite, write its report, print both; the exit code is the verdict's, with or without a report."""
    from reports.judging import judge_suite  # here, since pandas and matplotlib are slow to load
    from reports.report import write_report

    verdict = judge_suite(folder)
    targets = ""
    try:
        paths = write_report(folder, progress=lambda _: None)
        where, targets = f"report: {paths.html}", paths.targets
    except UsageError as trouble:  # a disk that is full must not hide what is known
        where = str(trouble)
    console.print()
    console.print(trial_table(verdict))
    for control in verdict.controls:
        console.print(
            f"control {control.control} in {control.scenario}: {control.breaks} found broken in "
            f"{control.caught} of {control.trials} trials"
        )
    for sentence in (*verdict.reasons, *verdict.invalid_reasons):
        console.print(f"- {sentence}", markup=False, soft_wrap=True)
    if targets:
        console.print(targets, markup=False, soft_wrap=True)
    validity = "" if verdict.validity == "VALID" else f" ({verdict.validity}: latency figures are withheld)"
    console.print(f"\n[bold {COLOURS[verdict.verdict]}]{verdict.verdict}[/]{validity}  suite {verdict.suite}")
    console.print(where, markup=False, soft_wrap=True)
    return verdict.exit_code


def wide_console() -> Console:
    """As wide as the terminal, or wide enough for every table where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def print_comparison(comparison: Comparison, page: Path, console: Console) -> None:
    """The differences, what there is to know of them, and the outcome last."""
    from reports.render import comparison as render  # here, since matplotlib is slow to load

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(render.HEADINGS):
        table.add_column(heading, no_wrap=True, justify="left" if number < 3 or not heading else "right")
    for row in comparison.rows:
        table.add_row(*render.cells(comparison, row))
    console.print()
    if comparison.rows:
        console.print(table)
    else:
        console.print("There is nothing to compare: no figure of any strategy was measured in both runs.")
    for sentence in render.sentences(comparison):
        console.print(f"- {sentence}", markup=False, soft_wrap=True)
    console.print(f"\n{render.title(comparison)}", style="bold", markup=False)
    console.print(f"comparison: {page}", markup=False, soft_wrap=True)


def trial_table(verdict: SuiteVerdict) -> Table:
    """A row a trial: what was expected, what was found, and the units behind it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("trial", "strategy", "expected", "found"):
        table.add_column(heading, no_wrap=heading != "trial")
    for heading in ("sold", "of", "acknowledged", "tier"):
        table.add_column(heading, justify="right")
    for trial in verdict.trials:
        numbers = _finding(trial, "I1").numbers
        table.add_row(
            trial.trial,
            trial.strategy,
            trial.expectation,
            _found(trial),
            *(_shown(numbers.get(name)) for name in ("in_ledger", "initial", "acknowledged")),
            trial.tier.value,
        )
    return table


def _found(trial: VerdictDocument) -> str:
    broken = ", ".join(finding.invariant for finding in trial.findings if finding.status == "broken")
    shown = f"{trial.verdict} {broken}".rstrip() + ("" if trial.validity == "VALID" else f" {trial.validity}")
    if trial.control:
        return f"[{'green' if trial.met else 'yellow'}]{shown}{' (caught)' if trial.met else ''}[/]"
    return f"[{COLOURS[trial.verdict]}]{shown}[/]"


def _finding(trial: VerdictDocument, invariant: str) -> FindingDocument:
    empty = FindingDocument(invariant=invariant, title="", status="undecided", sentence="")
    return next((finding for finding in trial.findings if finding.invariant == invariant), empty)


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
