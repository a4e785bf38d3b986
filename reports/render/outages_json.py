"""Outages, protections and round trips as JSON: every figure, unrounded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from reports.matrix import Cell
from reports.outages.outage import OutageFigures
from reports.protections import Protected, Protections, peak, since_s
from reports.round_trips import RoundTrips, sold_p95_ms
from reports.summary import Outage


def outage(row: Outage) -> dict[str, Any]:
    """One strategy in a case with faults, trial by trial."""
    return {
        "strategy": row.strategy,
        "case": row.case,
        "faults": row.faults,
        "fallback_per_s": row.fallback_per_s,
        "normal": None if row.normal is None else asdict(row.normal),
        "trials": [{"trial": each.trial, "seed": each.seed, **_met(each.outage)} for each in row.trials],
    }


def cell(found: Cell) -> dict[str, Any]:
    """A cell of the matrix: what it says, and what of each target."""
    return {
        "case": found.case,
        "faults": found.words,
        "strategy": found.strategy,
        "verdict": found.verdict.value,
        "passed": found.passed,
        "trials": len(found.trials),
        "missing": found.missing,
        "availability": found.availability,
        "recovered_s": found.recovered_s,
        "recovered": found.recovered,
        "page": found.page,
        "targets": [
            {
                "name": each.target.name,
                "limit": each.target.limit,
                "status": each.status.value,
                "worst": each.worst,
                "trial": each.trial,
                "sentence": each.sentence,
            }
            for each in found.judgements
        ],
    }


def protected(found: Protections) -> dict[str, Any]:
    """One load and its faults under several settings of the app, trial by trial."""
    return {"faults": found.faults, "rows": [_protected(row) for row in found.rows]}


def distances(found: RoundTrips) -> dict[str, Any]:
    """One load over several round trips."""
    return {
        "scenario": found.scenario,
        "distances": [
            {
                "case": each.case,
                "store_rtt_ms": each.set_ms,
                "measured_ms": each.measured_ms,
                "ranking": each.ranking,
                "strategies": [
                    {
                        "strategy": row.strategy,
                        "sales_per_s": None if row.sales_per_s is None else asdict(row.sales_per_s),
                        "sold_p95_ms": sold_p95_ms(row),
                    }
                    for row in each.rows
                ],
            }
            for each in found.distances
        ],
    }


def _met(figures: OutageFigures | None) -> dict[str, Any]:
    if figures is None:
        return {}
    document = asdict(figures)
    document["errors"] = {outcome.value: count for outcome, count in figures.errors.items()}
    return document


def _protected(row: Protected) -> dict[str, Any]:
    return {
        "strategy": row.strategy,
        "case": row.case,
        "app": dict(row.wiring.app),
        "trials": [
            {
                "trial": each.trial,
                "peak_database_reads_per_s": peak(each, lambda vitals: vitals.database_reads_per_s),
                "peak_statements_per_s": peak(each, lambda vitals: vitals.statements_per_s),
                "oldest_transaction_s": peak(each, lambda vitals: vitals.oldest_transaction_s),
                "availability": each.course.availability(0.0, each.course.ended_s),
                "worst_second": each.course.worst_second,
                "slowest_request_s": each.course.slowest_request_s(since_s(each)),
                "lost_sales": each.lost_sales,
            }
            for each in row.trials
        ],
    }
