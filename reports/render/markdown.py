"""The report as Markdown, for a CI job's summary."""

from __future__ import annotations

from flashbench.evidence.documents import SuiteVerdict
from reports.render.kills import false_alarms, kill_table
from reports.render.tables import Table, comparison, outage, outage_remarks, unplanned_remarks, worth_telling
from reports.render.words import MEANING
from reports.summary import Summary, headline


def markdown(summary: Summary) -> str:
    """The verdict, the controls, the comparison, the trials."""
    lines = [f"# {summary.verdict.verdict}: {cell(summary.title)}", "", headline(summary), ""]
    if summary.verdict.reasons or summary.verdict.invalid_reasons:
        lines += [f"- {cell(reason)}" for reason in (*summary.verdict.reasons, *summary.verdict.invalid_reasons)]
        lines.append("")
    if summary.verdict.controls:
        lines += [*kills_as_markdown(summary.verdict), ""]
    for case in summary.cases:
        lines += [f"**{cell(case)}**", "", *_table(comparison(summary, case)), ""]
    lines += [f"- {cell(remark)}" for remark in unplanned_remarks(summary)]
    if summary.cases:
        lines += ["Latency from the intended start to the answer, retries included.", ""]
    for case in summary.outage_cases:
        lines += [f"**{cell(case)}**", "", *_table(outage(summary, case)), ""]
        lines += [*(f"- {cell(remark)}" for remark in outage_remarks(summary, case)), ""]
    lines += ["| trial | expected | found |", "|---|---|---|"]
    told = worth_telling(summary)
    for each in told:
        broken = ", ".join(finding.invariant for finding in each.verdict.findings if finding.status == "broken")
        found = f"{each.verdict.verdict} {broken}".rstrip()
        lines.append(f"| {cell(each.verdict.trial)} | {cell(each.verdict.expectation)} | {found} |")
    if len(told) < len(summary.trials):
        lines += ["", f"{len(summary.trials) - len(told):,} more trials ended as the first of their kind."]
    lines += ["", MEANING, ""]
    if summary.command:
        lines += [f"`{summary.command.replace('`', '')}`", ""]
    return "\n".join(lines)


def kills_as_markdown(verdict: SuiteVerdict) -> list[str]:
    """The kill table and the false alarms, as lines."""
    return [*_table(kill_table(verdict)), "", cell(false_alarms(verdict))]


def _table(table: Table) -> list[str]:
    """Headings that stand over several columns are put before each of theirs."""
    over = [words for words, columns in table.groups for _ in range(columns)] or [""] * len(table.headings)
    headings = [
        f"{group.partition(',')[0]} {heading}".strip() for group, heading in zip(over, table.headings, strict=True)
    ]
    return [
        f"| {' | '.join(headings)} |",
        f"|{'---|' * table.texts}{'--:|' * (len(headings) - table.texts)}",
        *(f"| {' | '.join(map(cell, cells))} |" for cells in table.rows),
    ]


def cell(text: str) -> str:
    """Text that can't leave its cell, or become markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
