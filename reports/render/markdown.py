"""The report as Markdown, for a CI job's summary."""

from __future__ import annotations

from flashbench.evidence.documents import SuiteVerdict
from reports.matrix import Matrix
from reports.outages.course import PATIENCE_S
from reports.protections import protections
from reports.render import matrix_words
from reports.render.kills import false_alarms, kill_table
from reports.render.outage_tables import buyers, outage_remarks, stores
from reports.render.tables import Table, comparison, unplanned_remarks, worth_telling
from reports.render.wiring_tables import protection_remarks, protection_table, round_trip_table
from reports.render.words import MEANING
from reports.round_trips import ranking_words, round_trips
from reports.summary import Summary, headline


def markdown(summary: Summary, found: Matrix) -> str:
    """The verdict, the controls, the comparison, the matrix of outages, the trials."""
    lines = [f"# {summary.verdict.verdict}: {cell(summary.title)}", "", headline(summary), ""]
    if targets := matrix_words.targets(found):
        lines += [targets, ""]
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
    lines += _outages(summary, found)
    for settings in protections(summary):
        lines += [f"**What each protection buys** {cell(settings.words)}", "", *_table(protection_table(settings)), ""]
        lines += [*(f"- {cell(remark)}" for remark in protection_remarks(settings)), ""]
    for trips in round_trips(summary):
        lines += ["**How the round trip to the stores changes the ranking**", "", *_table(round_trip_table(trips))]
        lines += ["", cell(ranking_words(trips)), ""]
    lines += ["| trial | expected | found |", "|---|---|---|"]
    told = worth_telling(summary)
    for each in told:
        broken = ", ".join(finding.invariant for finding in each.verdict.findings if finding.status == "broken")
        ended = f"{each.verdict.verdict} {broken}".rstrip()
        lines.append(f"| {cell(each.verdict.trial)} | {cell(each.verdict.expectation)} | {ended} |")
    if len(told) < len(summary.trials):
        lines += ["", f"{len(summary.trials) - len(told):,} more trials ended as the first of their kind."]
    lines += ["", MEANING, ""]
    if summary.command:
        lines += [f"`{summary.command.replace('`', '')}`", ""]
    return "\n".join(lines)


def _outages(summary: Summary, found: Matrix) -> list[str]:
    """The matrix; of few cases also their tables."""
    if not found.rows:
        return []
    lines = [f"## {matrix_words.HEADING}", "", f"| what failed | {' | '.join(map(cell, found.strategies))} |"]
    lines.append(f"|---|{'---|' * len(found.strategies)}")
    lines += [
        f"| {cell(matrix_words.heading(row))} | {' | '.join(cell(matrix_words.as_text(each)) for each in row.cells)} |"
        for row in found.rows
    ]
    lines += [
        "",
        f"Trials that passed; of the worst, decided in {PATIENCE_S:g} s while something failed, and recovery.",
        "",
    ]
    lines += [*(f"- {cell(remark)}" for remark in matrix_words.remarks(found)), "", matrix_words.ASKED, ""]
    for row in () if found.is_large else found.rows:
        tables = [table for table in (buyers(summary, row.case), stores(summary, row.case)) if table.rows]
        lines += [f"**{cell(matrix_words.heading(row))}**", ""]
        lines += [line for table in tables for line in (*_table(table), "")]
        lines += [*(f"- {cell(remark)}" for remark in outage_remarks(summary, row.case)), ""]
    return lines


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
