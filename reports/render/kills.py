"""The kill table: how surely the checks catch what is broken on purpose, and that they leave alone what is right."""

from __future__ import annotations

from flashbench.evidence.documents import CaughtControl, SuiteVerdict
from flashbench.vocabulary import Verdict
from reports.render.tables import Table

TEXTS = 2


def kill_table(verdict: SuiteVerdict) -> Table:
    """A row a control and scenario, in the order of the invariants."""
    rows = sorted(verdict.controls, key=lambda each: (int(each.breaks[1:]), each.control))
    return Table(
        headings=(
            *("control", "breaks", "caught", "of all, at least", "purchases until seen"),
            *("scenario", "also found"),
        ),
        rows=tuple(_row(each) for each in rows),
        texts=TEXTS,
    )


def false_alarms(verdict: SuiteVerdict) -> str:
    """How often a strategy that is right was accused, in a sentence; empty without such trials."""
    trials = [each for each in verdict.trials if not each.control]
    if not trials or not verdict.controls:
        return ""
    names = ", ".join(dict.fromkeys(each.strategy for each in trials))
    accused = sum(each.verdict is Verdict.FAIL for each in trials)
    return f"{len(trials)} trials of {names} beside them: {accused or 'not one was'} accused."


def _row(control: CaughtControl) -> tuple[str, ...]:
    return (
        control.control,
        control.breaks,
        f"{control.caught} of {control.trials}",
        f"{control.at_least:.0%}",
        "–" if control.purchases is None else f"{control.purchases:,}",
        control.scenario,
        ", ".join(control.also),
    )
