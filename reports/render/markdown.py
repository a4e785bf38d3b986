"""The report as Markdown, for a CI job's summary."""

from __future__ import annotations

from flashbench.vocabulary import Outcome
from reports.render.words import MEANING, comparison_cells, comparison_headings
from reports.summary import Summary, headline


def markdown(summary: Summary) -> str:
    """The verdict, the controls, the comparison, the trials."""
    lines = [f"# {summary.verdict.verdict}: {_cell(summary.title)}", "", headline(summary), ""]
    if summary.verdict.reasons or summary.verdict.invalid_reasons:
        lines += [f"- {_cell(reason)}" for reason in (*summary.verdict.reasons, *summary.verdict.invalid_reasons)]
        lines.append("")
    if summary.verdict.controls:
        lines += ["| broken on purpose | scenario | breaks | caught |", "|---|---|---|--:|"]
        lines += [
            f"| {_cell(each.control)} | {each.scenario} | {each.breaks} | {each.caught} of {each.trials} |"
            for each in summary.verdict.controls
        ]
        lines.append("")
    if summary.strategies:
        headings = comparison_headings()
        lines += [f"| {' | '.join(headings)} |", f"|---|---|{'--:|' * (len(headings) - 2)}"]
        lines += [f"| {' | '.join(map(_cell, comparison_cells(summary, row)))} |" for row in summary.strategies]
        lines += ["", f"Latency in ms, intended start to answer, {Outcome.SOLD.value} and {Outcome.SOLD_OUT.value}."]
        lines.append("")
    lines += ["| trial | expected | found |", "|---|---|---|"]
    for each in summary.trials:
        broken = ", ".join(finding.invariant for finding in each.verdict.findings if finding.status == "broken")
        found = f"{each.verdict.verdict} {broken}".rstrip()
        lines.append(f"| {_cell(each.verdict.trial)} | {_cell(each.verdict.expectation)} | {found} |")
    lines += ["", MEANING, ""]
    if summary.command:
        lines += [f"`{summary.command.replace('`', '')}`", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that can't leave its cell, or become markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
