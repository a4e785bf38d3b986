"""The figures of two runs, trial by trial, and which of their differences are more than luck."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flashbench.vocabulary import Outcome
from reports.latency.figures import TrialFigures
from reports.latency.percentiles import percentile
from reports.latency.statistics import Difference, difference, holm
from reports.summary import Summary

WORSE_THAN = 0.20


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of one trial; ``gate`` marks those that may fail a build."""

    name: str
    unit: str
    more_is_better: bool
    of: Callable[[TrialFigures], float | None]
    gate: bool = False


METRICS = (
    Metric("sold p50", "ms", False, lambda each: _latency(each, Outcome.SOLD, 0.5), gate=True),
    Metric("sold p95", "ms", False, lambda each: _latency(each, Outcome.SOLD, 0.95), gate=True),
    Metric("sold out p95", "ms", False, lambda each: _latency(each, Outcome.SOLD_OUT, 0.95)),
    Metric("sales", "1/s", True, lambda each: each.sales_per_s),
    Metric("refusals", "1/s", True, lambda each: each.refusals_per_s),
    Metric("sell-out", "s", False, lambda each: each.sell_out_s),
    Metric("statements per attempt", "", False, lambda each: each.statements_per_attempt),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one strategy in one case. ``base`` and ``new`` are the values of the trials."""

    case: str
    strategy: str
    metric: Metric
    base: tuple[float, ...]
    new: tuple[float, ...]
    found: Difference | None
    called: bool = False  # significant, also among all that were tested, and larger than the stated minimum

    @property
    def worse(self) -> bool:
        """Whether the new run is called worse."""
        return self.called and self.found is not None and (self.found.ratio < 1) == self.metric.more_is_better

    @property
    def word(self) -> str:
        """What is to be said of it."""
        if self.found is None:
            return "not measured"
        if self.called:
            return "worse" if self.worse else "better"
        return "no difference called"


def rows(base: Summary, new: Summary, minimum: float = WORSE_THAN) -> list[Row]:
    """Every metric that either run has, of every strategy that both ran, in every case without faults.

    One that only one of them has is a row without a difference: what was to be compared could not be.

    A difference is called one if it is larger than ``minimum`` (a share) and significant by Mann and Whitney's test
    after Holm's correction: among twenty comparisons of equals, one would look significant by itself. The gates are
    tested for being worse, one-sided and among themselves, since that is what they are for; all metrics are tested for
    being different in either direction.
    """
    found = []
    both = set(base.strategy_names) & set(new.strategy_names)
    for case in dict.fromkeys((*base.cases, *new.cases)):
        before, after = base.trials_compared(case), new.trials_compared(case)
        for strategy in dict.fromkeys((*before, *after)):
            for metric in METRICS if strategy in both else ():
                values = _values(metric, before.get(strategy, ())), _values(metric, after.get(strategy, ()))
                if any(values):
                    found.append(Row(case, strategy, metric, *values, difference(*values)))
    measured = [row for row in found if row.found is not None]
    gates = [row for row in measured if row.metric.gate]
    significant = {
        *(id(row) for row, kept in zip(gates, holm([_p_worse(row) for row in gates]), strict=True) if kept),
        *(id(row) for row, kept in zip(measured, holm([_p_either(row) for row in measured]), strict=True) if kept),
    }
    return [
        replace(row, called=id(row) in significant and row.found is not None and abs(row.found.ratio - 1) > minimum)
        for row in found
    ]


def _p_worse(row: Row) -> float:
    assert row.found is not None
    return row.found.p_less if row.metric.more_is_better else row.found.p_greater


def _p_either(row: Row) -> float:
    assert row.found is not None
    return row.found.p_value


def gates_of(cells: int) -> int:
    """How many figures are tested for being worse in so many cells: a strategy each, in a case without faults."""
    return cells * sum(metric.gate for metric in METRICS)


def _values(metric: Metric, trials: Sequence[TrialFigures]) -> tuple[float, ...]:
    return tuple(value for each in trials if (value := metric.of(each)) is not None)


def _latency(each: TrialFigures, outcome: Outcome, share: float) -> float | None:
    return percentile(each.latency[outcome].done_ms, share)
