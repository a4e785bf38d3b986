"""The tables of what the app's settings, and its distance from the stores, change."""

from __future__ import annotations

from flashbench.vocabulary import Outcome
from reports.latency.percentiles import percentile
from reports.protections import Protected, Protections, peak, since_s
from reports.render.tables import Table
from reports.render.words import NONE, estimate, milliseconds, share
from reports.round_trips import Distance, RoundTrips, sold_p95_ms
from reports.wiring import AS_IT_IS


def protection_table(found: Protections) -> Table:
    """The same strategies with and without a protection, and how many times as much Postgres was asked."""
    return Table(
        headings=(
            *("strategy", "the app's settings", "peak product reads/s", "times", "peak stmts/s"),
            *("oldest transaction, s", "availability", "worst second", "slowest request, s", "p95 of sold, ms"),
            "lost sales",
        ),
        rows=tuple(_protected(found, row) for row in found.rows),
        texts=2,
    )


def protection_remarks(found: Protections) -> list[str]:
    """By how much Postgres was read more often than with the app as it is, at most, in a sentence a strategy."""
    remarks = []
    for row in found.most_read:
        reads = found.reads_per_s(row)
        if reads is not None:
            before, now = reads
            remarks.append(
                f"{row.strategy} with {row.wiring.settings}: products were read from Postgres up to {now:,.0f}"
                f" times a second, against {before:,.0f} with the app {AS_IT_IS}, {now / before:.1f} times as often."
            )
    return remarks


def round_trip_table(found: RoundTrips) -> Table:
    """What each strategy makes of each round trip, and its rank."""
    return Table(
        headings=("strategy", *(heading for _ in found.distances for heading in ("sales/s", "p95, ms", "rank"))),
        rows=tuple(
            (strategy, *(cell for distance in found.distances for cell in _at(distance, strategy)))
            for strategy in found.strategies
        ),
        groups=(("", 1), *((_distance(each), 3) for each in found.distances)),
    )


def _protected(found: Protections, row: Protected) -> tuple[str, ...]:
    reads = found.reads_per_s(row)
    return (
        row.strategy,
        row.wiring.settings,
        estimate(row.database_reads_per_s, 0),
        NONE if reads is None else f"{reads[1] / reads[0]:.1f}",
        estimate(row.estimate(lambda each: peak(each, lambda vitals: vitals.statements_per_s)), 0),
        estimate(row.estimate(lambda each: peak(each, lambda vitals: vitals.oldest_transaction_s)), 2),
        share(row.estimate(lambda each: each.course.availability(0.0, each.course.ended_s))),
        share(row.estimate(lambda each: each.course.worst_second)),
        estimate(row.estimate(lambda each: each.course.slowest_request_s(since_s(each))), 2),
        estimate(row.estimate(lambda each: percentile(each.latency[Outcome.SOLD].done_ms, 0.95)), 1),
        f"{sum(each.lost_sales for each in row.trials):,}",
    )


def _at(distance: Distance, strategy: str) -> tuple[str, str, str]:
    row = distance.of(strategy)
    if row is None:
        return NONE, NONE, NONE
    return estimate(row.sales_per_s, 0), milliseconds(sold_p95_ms(row)), str(distance.rank(strategy) or NONE)


def _distance(distance: Distance) -> str:
    measured = f", measured {distance.measured_ms:.2f}" if distance.measured_ms is not None else ""
    return f"{distance.set_ms:g} ms{measured}"
