"""A verdict as plain text, for terminals and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flashbench.evidence.documents import FindingDocument, SuiteVerdict, VerdictDocument
from flashbench.vocabulary import Tier, Validity

_RESTS_ON = {
    Tier.CLIENT: "what the clients recorded",
    Tier.LEDGER: "the clients' records and the ledger",
    Tier.STORES: "the clients' records, the ledger and the stores",
}
_MARK = {"held": "ok", "broken": "BROKEN", "undecided": "?"}
_WIDEST = 44  # of a table's cell


def describe(verdict: VerdictDocument) -> str:
    """Verdict and tier, the sale's figures, one line per invariant, reasons, and who broke what."""
    lines = [_headline(verdict), ""]
    lines += [f"  {line}" for line in verdict.identities]
    lines += ["", *(line for finding in verdict.findings for line in _invariant(finding))]
    lines += ["", *(f"  {line}" for line in verdict.figures)]
    lines += _section("Why it is not proven:" if verdict.verdict == "UNPROVEN" else "Also:", verdict.reasons)
    lines += _section("The measurement is INVALID (figures are suppressed):", verdict.invalid_reasons)
    for finding in verdict.findings:
        if finding.status == "broken":
            lines += story(finding)
            lines += _offenders(finding) if finding.tries or finding.rows else []
    return "\n".join(_single_blanks(lines)) + "\n"


def describe_suite(verdict: SuiteVerdict) -> str:
    """A line a trial, the controls caught, the reasons, and the suite's verdict last."""
    width = max((len(trial.trial) for trial in verdict.trials), default=0)
    lines = []
    for trial in verdict.trials:
        broken = ", ".join(finding.invariant for finding in trial.findings if finding.status == "broken")
        caught = f" ({_caught(trial)})" if trial.expectation != "pass" else ""
        lines.append(f"  {trial.trial:<{width}}  {trial.verdict.value} {broken}".rstrip() + caught)
    for control in verdict.controls:
        found = f"{control.breaks} found broken in {control.caught} of {control.trials} trials"
        lines.append(f"  control {control.control} in {control.scenario}: {found}")
    lines += _section("Why not PASS:", verdict.reasons)
    lines += _section("The measurement is INVALID (figures are suppressed):", verdict.invalid_reasons)
    validity = "" if verdict.validity is Validity.VALID else ", measurement INVALID"
    return "\n".join([*lines, "", f"{verdict.verdict.value}{validity}  suite {verdict.suite}"]) + "\n"


def _headline(verdict: VerdictDocument) -> str:
    validity = "" if verdict.validity is Validity.VALID else ", measurement INVALID"
    wanted = "" if verdict.expectation == "pass" else f"  (expected {verdict.expectation}: {_caught(verdict)})"
    rests = f"tier {verdict.tier.value}: {_RESTS_ON[verdict.tier]}"
    return f"{verdict.verdict.value}{validity}  {verdict.strategy}, {verdict.trial}{wanted}\n  {rests}"


def _caught(verdict: VerdictDocument) -> str:
    return "caught" if verdict.met else "not caught"


def _invariant(finding: FindingDocument) -> list[str]:
    numbers = ", ".join(f"{name} {value}" for name, value in finding.numbers.items() if value is not None)
    mark, name = _MARK[finding.status], f"{finding.invariant} {finding.title}"
    lines = [f"  {mark:<6}  {name:<24}  {finding.sentence}"]
    if numbers:
        lines.append(f"  {'':<6}  {'':<24}  ({numbers})")
    return lines


def _section(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", title, *(f"  - {sentence}" for sentence in sentences)] if sentences else []


def story(finding: FindingDocument) -> list[str]:
    """The smallest story of a violation: a line an event, in time order, from when to when in milliseconds."""
    if finding.story is None:
        return []
    spans = [_span(event.from_ms, event.to_ms, event.kind) for event in finding.story.events]
    width = max(map(len, spans), default=0)
    lines = ["", f"{finding.invariant} {finding.title}, in short (milliseconds since the sale began):"]
    lines += [
        f"  {span:>{width}}  {event.who} {event.what}" for span, event in zip(spans, finding.story.events, strict=True)
    ]
    if finding.story.left_out:
        lines.append(f"  {'':>{width}}  and {finding.story.left_out} more like these")
    return lines + [f"  {'':>{width}}  {fact}" for fact in finding.story.facts]


def _span(from_ms: float | None, to_ms: float | None, kind: str) -> str:
    if from_ms is None:
        return ""
    if kind == "order":
        return f"{from_ms:,.1f}"
    return f"{from_ms:,.1f} – {'…' if to_ms is None else f'{to_ms:,.1f}'}"


def _offenders(finding: FindingDocument) -> list[str]:
    lines = ["", f"{finding.invariant} {finding.title}: {finding.offending} in all, for example"]
    if finding.tries:
        lines += ["  tries", *table(finding.tries)]
    if finding.rows:
        lines += ["  ledger rows", *table(finding.rows)]
    return lines


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows with the same fields as aligned, indented lines below a heading; absent values are a dash."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    right = [all(isinstance(row.get(name), int | float) for row in rows) for name in names]
    return [
        "    " + "  ".join(_placed(*each) for each in zip(line, widths, right, strict=True)).rstrip() for line in cells
    ]


def _placed(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _single_blanks(lines: list[str]) -> list[str]:
    return [line for position, line in enumerate(lines) if line or (position and lines[position - 1])]
