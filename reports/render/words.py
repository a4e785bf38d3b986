"""Words and numbers as every form of the report shows them."""

from __future__ import annotations

from flashbench.vocabulary import Outcome, Verdict
from reports.latency.figures import Estimate, StrategyFigures
from reports.latency.percentiles import SHOWN
from reports.summary import Summary

MEANING = (
    "A PASS proves that nothing was oversold, lost, invented, doubled or leaked in the recorded execution. For the "
    "implementation in general it is evidence, as strong as the contention was and as the broken strategies that the "
    "same checks caught."
)
NONE = "–"


def comparison_headings() -> tuple[str, ...]:
    """The comparison's columns: two of text, the rest of numbers."""
    return tuple(f"{group} {heading}".strip() for group, headings in comparison_groups() for heading in headings)


def comparison_groups() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The same columns under the headings that they share."""
    percentiles = tuple(f"p{100 * share:g}" for share in SHOWN)
    return (
        ("", ("strategy", "verdict", "sales/s", "refusals/s")),
        ("sold", percentiles),
        ("sold out", percentiles),
        ("", ("sell-out", "lost sales", "stmts/attempt")),
    )


def comparison_cells(summary: Summary, row: StrategyFigures) -> tuple[str, ...]:
    """One row of the comparison."""
    trials = summary.trials_of(row.strategy, row.case)
    passed = sum(each.verdict.verdict is Verdict.PASS for each in trials)
    name = row.strategy if len({each.case for each in summary.strategies}) == 1 else f"{row.strategy}, {row.case}"
    percentiles = [
        milliseconds(row.percentiles[outcome][share]) for outcome in (Outcome.SOLD, Outcome.SOLD_OUT) for share in SHOWN
    ]
    return (
        name,
        f"{passed}/{len(trials)} PASS",
        estimate(row.sales_per_s, 0),
        estimate(row.refusals_per_s, 0),
        *percentiles,
        estimate(row.sell_out_s, 2, " s"),
        f"{row.lost_sales:,}",
        estimate(row.statements_per_attempt, 1),
    )


def estimate(value: Estimate | None, digits: int, unit: str = "") -> str:
    """The mean, with the range of the repetitions if there are several."""
    if value is None:
        return NONE
    mean = f"{value.mean:,.{digits}f}{unit}"
    if value.n == 1:
        return mean
    least, greatest = f"{value.least:,.{digits}f}", f"{value.greatest:,.{digits}f}"
    return mean if least == greatest else f"{mean} ({least}–{greatest})"


def milliseconds(value: float | None) -> str:
    """Three significant digits; a dash where there are too few values to say."""
    if value is None:
        return NONE
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"
