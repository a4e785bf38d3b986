"""The tables of a case with faults, and what limits their figures, in words."""

from __future__ import annotations

from collections.abc import Sequence

from flashbench.vocabulary import Outcome
from reports.latency.statistics import Estimate
from reports.outages.answers import Unknowns
from reports.outages.spans import plan_of
from reports.outages.targets import LOCK_LEASE_S
from reports.render.tables import Table, passed
from reports.render.words import NONE, estimate, in_so_many, milliseconds, share
from reports.summary import Outage, Summary

STRETCHED_S = 1.0  # by which a fault may last longer than planned without a word
LOAD_LIMIT = 0.6  # of the fallback's capacity: beyond it, an outage measures overload


def buyers(summary: Summary, case: str) -> Table:
    """What a case's faults did to those who bought, strategy by strategy."""
    return Table(
        headings=(
            *("strategy", "verdict", "availability", "while failing", "worst second", "floor/s", "slowest, ms"),
            *("slowest request, s", "first answer, ms", "failed, unknown", "detected, s", "recovered, s"),
        ),
        rows=tuple(_buyers(summary, row) for row in summary.outage_rows(case)),
        texts=2,
    )


def stores(summary: Summary, case: str) -> Table:
    """What became of the answers and the locks, and what the stores were asked for."""
    return Table(
        headings=(
            *("strategy", "wrong answers", "unknowns resolved", "longest lock, s", "locks past lease"),
            *("oldest transaction, s", "counter right, s", "peak stmts/s", "peak product reads/s"),
        ),
        rows=tuple(_stores(row) for row in summary.outage_rows(case)),
    )


def outage_remarks(summary: Summary, case: str) -> list[str]:
    """What limits the figures of a case with faults, in sentences."""
    rows = summary.outage_rows(case)
    return [
        *_offered(rows),
        *(
            f"{row.strategy} counts as recovered with at least {row.normal.least_goodput:,.0f} decisions/s and a p95 of"
            f" at most {milliseconds(row.normal.most_p95_ms)} ms, as {_trials(row.normal.trials)} without a fault"
            f" {'show' if row.normal.trials > 1 else 'shows'}."
            for row in rows
            if row.normal is not None
        ),
        *(
            f"{row.strategy}, recovery: {reason}."
            for row in rows
            for reason in sorted({each.why_not for each in row.figures})
            if reason
        ),
        *(
            f"{row.strategy}: in {_trials(gone)} the stock was gone before the last fault came."
            for row in rows
            if (gone := sum(not each.in_time for each in row.figures))
        ),
        *(
            f"{row.strategy}: {held} locks were held by one owner past their lease of {LOCK_LEASE_S:g} s, or had none."
            for row in rows
            if (held := sum(each.stale_locks or 0 for each in row.figures))
        ),
        *(f"{row.strategy}: {sentence}" for row in rows for sentence in _stretched(row)),
    ]


def _stretched(row: Outage) -> list[str]:
    """Which faults lasted for much longer than planned, as when undoing another one took its time."""
    longest: dict[tuple[str, float], float] = {}
    for trial in row.trials:
        for span in trial.spans:
            plan = plan_of(trial.planned, span.place, span.fault)
            if plan is not None:
                key = span.words, plan.for_s
                longest[key] = max(longest.get(key, 0.0), span.to_s - span.from_s)
    return [
        f"{words} lasted for up to {lasted_s:.1f} s, and not for the {for_s:g} s that were planned."
        for (words, for_s), lasted_s in longest.items()
        if lasted_s > for_s + STRETCHED_S
    ]


def resolved(unknowns: Sequence[Unknowns]) -> str:
    """How unknown outcomes were resolved."""
    count = sum(each.count for each in unknowns)
    if not count:
        return "0"
    bought, not_bought = sum(each.bought for each in unknowns), sum(each.not_bought for each in unknowns)
    unresolved = sum(each.unresolved for each in unknowns)
    parts = (f"{bought:,} bought", f"{not_bought:,} not", f"{unresolved:,} unresolved" if unresolved else "")
    return ", ".join(filter(None, parts))


def counted(values: Sequence[int | None]) -> str:
    """A sum; a dash where not one is known."""
    known = [value for value in values if value is not None]
    return f"{sum(known):,}" if known else NONE


def _buyers(summary: Summary, row: Outage) -> tuple[str, ...]:
    first_answer = row.estimate(lambda met: None if met.first_answer_s is None else 1e3 * met.first_answer_s)
    return (
        row.strategy,
        passed(summary, row.strategy, row.case),
        share(row.estimate(lambda met: met.availability)),
        share(row.estimate(lambda met: met.availability_failing)),
        share(row.estimate(lambda met: met.worst_second)),
        estimate(row.estimate(lambda met: met.floor_per_s), 0),
        estimate(row.estimate(lambda met: met.slowest_ms), 0),
        estimate(row.estimate(lambda met: met.slowest_request_s), 2),
        estimate(first_answer, 0),
        ", ".join(
            f"{sum(met.errors[outcome] for met in row.figures):,}" for outcome in (Outcome.FAILED, Outcome.UNKNOWN)
        ),
        estimate(row.estimate(lambda met: met.detected_s), 1),
        estimate(row.estimate(lambda met: met.recovered_s), 1)
        + (in_so_many(row.recovered, len(row.figures)) if row.recovered else ""),
    )


def _stores(row: Outage) -> tuple[str, ...]:
    met = row.figures
    return (
        row.strategy,
        counted([each.answers.wrong for each in met]),
        resolved([each.unknowns for each in met]),
        estimate(row.estimate(lambda each: each.longest_lock_s), 1),
        counted([each.stale_locks for each in met]),
        estimate(row.estimate(lambda each: each.oldest_transaction_s), 2),
        _counter_right(row),
        estimate(row.estimate(lambda each: each.peak_statements_per_s), 0),
        estimate(row.estimate(lambda each: each.peak_database_reads_per_s), 0),
    )


def _counter_right(row: Outage) -> str:
    """The mean, and in how many trials it was seen, if not in all."""
    seen = sum(each.counter_right_s is not None for each in row.figures)
    told = estimate(row.estimate(lambda each: each.counter_right_s), 1)
    return told + (in_so_many(seen, len(row.figures)) if seen else "")


def _offered(rows: Sequence[Outage]) -> list[str]:
    offered = Estimate.of([met.offered_per_s for row in rows for met in row.figures])
    if offered is None:
        return []
    fallback_per_s = rows[0].fallback_per_s  # of all strategies, since a case has one way to the stores
    if fallback_per_s is None:
        return [
            f"Offered were {offered.mean:,.0f} purchases/s; what the path without Redis can sell at most was not"
            " measured over this way to the stores."
        ]
    ratio = offered.mean / fallback_per_s
    beyond = ": more than the 60 % up to which an outage can be told from overload." if ratio > LOAD_LIMIT else "."
    return [
        f"Offered were {offered.mean:,.0f} purchases/s, {ratio:.0%} of the {fallback_per_s:,.0f} that the row lock"
        f" alone sold at its fastest over this way to the stores{beyond}"
    ]


def _trials(count: int) -> str:
    return f"{count} trial{'s' if count != 1 else ''}"
