"""The report as JSON: every figure that the page shows, unrounded."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flashbench.vocabulary import Outcome
from reports.latency.figures import StrategyFigures, TrialFigures
from reports.latency.percentiles import SHOWN, percentile
from reports.matrix import Matrix
from reports.protections import protections
from reports.render import outages_json
from reports.round_trips import round_trips
from reports.summary import ReportedTrial, Summary

SCHEMA_VERSION = 1


def as_json(summary: Summary, found: Matrix) -> str:
    """An object with ``verdict``, ``strategies``, ``outages``, ``trials``, ``fingerprint`` and ``command``.

    ``matrix`` holds the outages' cells with what they say of each target; ``protections`` and ``round_trips`` are
    empty unless the suite had the app set in several ways, or several distances to its stores.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "title": summary.title,
        "command": summary.command,
        "verdict": summary.verdict.model_dump(mode="json", exclude={"trials"}),
        "strategies": [_strategy(row) for row in summary.strategies],
        "outages": [outages_json.outage(row) for row in summary.outages],
        "matrix": [outages_json.cell(each) for each in found.cells],
        "protections": [outages_json.protected(each) for each in protections(summary)],
        "round_trips": [outages_json.distances(each) for each in round_trips(summary)],
        "trials": [_trial(each) for each in summary.trials],
        "fingerprint": summary.fingerprint,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _strategy(row: StrategyFigures) -> dict[str, Any]:
    document = asdict(row)
    document["percentiles_ms"] = {
        outcome.value: {f"p{100 * share:g}": value for share, value in shares.items()}
        for outcome, shares in document.pop("percentiles").items()
    }
    document["curves_ms"] = {outcome.value: points for outcome, points in document.pop("curves").items()}
    for name in ("before", "after"):
        document[f"{name}_sell_out_ms"] = {f"p{100 * share:g}": value for share, value in document.pop(name).items()}
    for name in ("counts", "server_p50_ms"):
        document[name] = {outcome.value: value for outcome, value in document[name].items()}
    return document


def _trial(each: ReportedTrial) -> dict[str, Any]:
    return {
        "verdict": each.verdict.model_dump(mode="json"),
        "withheld": each.withheld,
        "figures": None if each.figures is None else _figures(each.figures),
    }


def _figures(figures: TrialFigures) -> dict[str, Any]:
    latency = {
        outcome.value: {
            name: {f"p{100 * share:g}": percentile(getattr(found, name), share) for share in SHOWN}
            for name in ("done_ms", "sent_ms", "server_ms")
        }
        for outcome, found in figures.latency.items()
    }
    shown = {
        name: getattr(figures, name)
        for name in (
            "purchases",
            "tries",
            "units_sold",
            "first_sold_s",
            "sell_out_s",
            "sales_per_s",
            "refusals_per_s",
            "lost_sales",
            "statements_per_attempt",
            "first_come",
        )
    }
    return {
        **shown,
        "unknowns": asdict(figures.unknowns),
        "by_outcome": {outcome.value: figures.by_outcome[outcome] for outcome in Outcome},
        "latency": latency,
        "cache": None if figures.cache is None else asdict(figures.cache),
    }
