"""A comparison as a page, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from flashbench.vocabulary import ExitCode
from reports.comparison.compared import Comparison
from reports.comparison.differences import Row
from reports.places import places
from reports.render.difference_plots import ratio_plot
from reports.render.drawing import Picture
from reports.render.markdown import cell
from reports.render.page import fill
from reports.render.words import NONE, milliseconds

HEADINGS = ("case", "strategy", "figure", "base", "new", "new ÷ base", "95 % interval", "p", "trials", "")


def title(comparison: Comparison) -> str:
    """The outcome in a few words."""
    verdict = comparison.new.verdict.verdict.value
    code = comparison.exit_code
    if code in (ExitCode.FAIL, ExitCode.UNPROVEN):
        return verdict
    if code is ExitCode.REGRESSION:
        return f"{verdict}, slower"
    if not comparison.judged:
        return f"{verdict}, latency not judged"
    if not comparison.asked_for:
        return f"{verdict}, no latency to be judged"
    if not comparison.gates or comparison.unmeasured:
        return f"{verdict}, latency not all measured in both runs"
    if not comparison.decidable:
        return f"{verdict}, too few trials to judge latency"
    if code is ExitCode.INVALID:
        return f"{verdict}, part of the new run is INVALID"
    return f"{verdict}, no regression called"


def sentences(comparison: Comparison) -> list[str]:
    """What a reader must know before looking at any figure."""
    found = [f"What differs in the code under test: {'; '.join(comparison.code) or 'nothing that was recorded'}."]
    if comparison.work:
        found.append(f"These runs did different work, so nothing is called a difference: {'; '.join(comparison.work)}.")
    if comparison.machine:
        found.append(f"The machines differ, so there is no verdict on latency: {'; '.join(comparison.machine)}.")
    if comparison.in_one_only:
        found.append(f"Only one of the runs has {', '.join(comparison.in_one_only)}, so that is not compared.")
    if comparison.judged and not comparison.gates:
        found.append("There is no latency of sales without faults to be judged: no strategy has it in both runs.")
    for row in comparison.unmeasured if comparison.judged else ():
        side = "the base" if not row.base else "the new run"
        found.append(f"{row.strategy} in {row.case}: {row.metric.name} was not measured in {side}.")
    if comparison.judged and comparison.gates and not comparison.unmeasured and not comparison.decidable:
        found.append("There are too few trials to tell every difference from luck: run more seeds (--seeds).")
    found += [
        f"{row.strategy} in {row.case}: {row.metric.name} {_value(sum(row.base) / len(row.base))} → "
        f"{_value(sum(row.new) / len(row.new))} {row.metric.unit}, worse by more than {comparison.minimum:.0%}."
        for row in comparison.regressions
    ]
    return found


def explanation(comparison: Comparison) -> str:
    """How the differences were told from luck."""
    return (
        "Points are ratios of the means over trials, lines their 95 % bootstrap intervals, the grey band is what does"
        f" not count ({comparison.minimum:.0%}). A point is filled where a difference is called: larger than that, and"
        " significant by Mann and Whitney's test at 5 %, corrected for the number of figures by Holm's method; the"
        " latency of sales, which can fail a build, is tested for being worse. p is that of either direction."
    )


def plot(comparison: Comparison) -> Picture | None:
    """The ratios; None if there are none."""
    return ratio_plot(comparison.rows, places(row.strategy for row in comparison.rows), comparison.minimum)


def cells(comparison: Comparison, row: Row) -> tuple[str, ...]:
    """A row of the table."""
    found = row.found
    head = (row.case, row.strategy, f"{row.metric.name}{f', {row.metric.unit}' if row.metric.unit else ''}")
    counts = f"{len(row.base)}, {len(row.new)}"
    if found is None:
        return (*head, NONE, NONE, NONE, NONE, NONE, counts, row.word)
    return (
        *head,
        _value(found.base),
        _value(found.new),
        f"{found.ratio:.2f}",
        f"{found.least:.2f}–{found.greatest:.2f}" if found.has_interval else NONE,
        f"{found.p_value:.3f}",
        counts,
        _word(comparison, row),
    )


def _word(comparison: Comparison, row: Row) -> str:
    if not comparison.judged:
        return "not judged"
    return "too few trials to tell" if comparison.too_few_trials(row) and not row.called else row.word


def _tone(comparison: Comparison) -> str:
    """The colour of the title, by the verdict that has it."""
    tones = {ExitCode.REGRESSION: "FAIL", ExitCode.INVALID: "UNPROVEN"}
    return tones.get(comparison.exit_code, comparison.new.verdict.verdict.value)


def page(comparison: Comparison, picture: Picture | None) -> str:
    """HTML that needs nothing but itself."""
    return fill(
        "comparison.html.j2",
        title=title(comparison),
        tone=_tone(comparison),
        base=comparison.base_folder.resolve().name,
        new=comparison.new_folder.resolve().name,
        sentences=sentences(comparison),
        explanation=explanation(comparison),
        headings=HEADINGS,
        rows=[cells(comparison, row) for row in comparison.rows],
        picture=picture,
        svg=Markup(picture.svg) if picture is not None else "",
    )


def markdown(comparison: Comparison) -> str:
    """For a CI job's summary."""
    lines = [f"# {title(comparison)}", "", *(f"- {cell(each)}" for each in sentences(comparison)), ""]
    if comparison.rows:
        lines += [f"| {' | '.join(HEADINGS)} |", "|---|---|---|--:|--:|--:|--:|--:|--:|---|"]
        lines += [f"| {' | '.join(map(cell, cells(comparison, row)))} |" for row in comparison.rows]
        lines += ["", explanation(comparison), ""]
    else:
        lines += ["There is nothing to compare: no figure of any strategy was measured in both runs.", ""]
    return "\n".join(lines)


def as_json(comparison: Comparison) -> str:
    """Every figure, unrounded."""
    document = {
        "exit_code": int(comparison.exit_code),
        "verdict": comparison.new.verdict.verdict.value,
        "judged": comparison.judged,
        "decidable": comparison.decidable,
        "minimum": comparison.minimum,
        "code_under_test": comparison.code,
        "work_differences": comparison.work,
        "machine_differences": comparison.machine,
        "rows": [_row(comparison, row) for row in comparison.rows],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _row(comparison: Comparison, row: Row) -> dict[str, Any]:
    return {
        "case": row.case,
        "strategy": row.strategy,
        "metric": row.metric.name,
        "unit": row.metric.unit,
        "gate": row.metric.gate,
        "base": row.base,
        "new": row.new,
        "difference": None if row.found is None else asdict(row.found),
        "called": row.called and comparison.judged,
        "word": _word(comparison, row),
    }


def _value(value: float) -> str:
    return milliseconds(value)
