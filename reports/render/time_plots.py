"""What happened when: the course of a sale, and of an outage, for all strategies of a case or for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from flashbench.vocabulary import Outcome
from reports.latency.figures import TrialFigures
from reports.outages.course import BIN_S, Floats
from reports.outages.targets import LOCK_LEASE_S
from reports.outages.vitals import OPEN, Line, Vitals
from reports.render.drawing import Picture
from reports.render.palette import colour
from reports.render.panels import Curve, Look, Panel, Trials, drawn, held, mean

Places = Mapping[str, int]


def outage_timeline(case: str, trials: Trials, place: Places) -> Picture:
    """One case with faults: goodput, latency, errors, breakers and stock of each strategy on the same axes."""
    return drawn(
        f"timeline-{case}",
        f"{case}: what buyers and stores saw",
        "Over the seconds of the load, with the faults shaded: decisions per second, 95th percentile of latency,"
        f" failed tries, open circuit breakers and units left, a line for each of {', '.join(trials)}",
        (_DECIDED, _LATENCY, _ERRORS, _BREAKERS, _IN_POSTGRES, _IN_REDIS, _STATEMENTS, _PRODUCT_READS),
        trials,
        _looks(trials, place),
    )


def cell_timeline(case: str, strategy: str, trials: Sequence[TrialFigures], place: Places) -> Picture:
    """One strategy in a case with faults: a thin line a trial, and their mean."""
    return drawn(
        f"timeline-{case}-{strategy}",
        f"{strategy}: what buyers and stores saw",
        "Over the seconds of the load, with the faults shaded: decisions per second against arrivals, 95th percentile"
        f" of latency, failed tries, open circuit breakers, units left and what Postgres was asked for, by {strategy}",
        (_OFFERED, _LATENCY, _ERRORS, _BREAKERS, _UNITS, _STATEMENTS, _PRODUCT_READS, _HELD),
        {strategy: trials},
        {strategy: Look(colour(place[strategy]), 2.0, threads=True)},
        png=False,
    )


def course_of_sale(case: str, trials: Trials, place: Places) -> Picture:
    """One case without faults: sales and refusals per second, and what is left."""
    return drawn(
        f"course-{case}",
        f"{case}: throughput and stock",
        "Over the seconds of the load: sales and refusals per second and units left, a line for each of "
        f"{', '.join(trials)}",
        (_SOLD, _REFUSED, _IN_POSTGRES, _IN_REDIS),
        trials,
        _looks(trials, place),
    )


def _looks(trials: Trials, place: Places) -> dict[str, Look]:
    """The first strategy's line is the widest, so that none hides another."""
    widths = np.linspace(3.4, 1.3, len(trials)) if len(trials) > 1 else [1.8]
    return {
        strategy: Look(colour(place[strategy]), float(width)) for width, strategy in zip(widths, trials, strict=True)
    }


def _decided(each: TrialFigures) -> Floats:
    return each.course.sold + each.course.refused


def _arrived(each: TrialFigures) -> Floats:
    bins_s = each.course.bins_s
    return np.histogram(each.course.arrived_s, np.append(bins_s, bins_s[-1] + BIN_S))[0] / BIN_S


def _ended(outcome: Outcome) -> Callable[[TrialFigures], Floats]:
    return lambda each: each.course.errors_per_s(outcome)


def _open_breakers(each: TrialFigures) -> Floats | None:
    """The share of the workers that were there."""
    lines = each.vitals.breakers if each.vitals is not None else ()
    states = [state for line in lines if (state := held(line, each.course.bins_s)) is not None]
    return mean([np.where(np.isnan(state), np.nan, state == OPEN) for state in states]) if states else None


def _seen(line: Callable[[Vitals], Line | None]) -> Callable[[TrialFigures], Floats | None]:
    """What telemetry read, bin by bin."""

    def of(each: TrialFigures) -> Floats | None:
        return held(line(each.vitals), each.course.bins_s) if each.vitals is not None else None

    return of


def _longest_lock(vitals: Vitals) -> Line | None:
    return Line(vitals.locks.at_s, vitals.locks.longest_s) if vitals.locks is not None else None


_IN_STORES = (_seen(lambda vitals: vitals.postgres_stock), _seen(lambda vitals: vitals.redis_stock))

_DECIDED = Panel("decided/s", (Curve(_decided),))
_OFFERED = Panel("purchases/s", (Curve(_decided, name="decided"), Curve(_arrived, ":", name="arrived", aside=True)))
_LATENCY = Panel("p95, ms", (Curve(lambda each: each.course.p95_ms),), logarithmic=True)
_ERRORS = Panel(
    "errors/s",
    (Curve(_ended(Outcome.FAILED), name="failed"), Curve(_ended(Outcome.UNKNOWN), ":", name="unknown")),
)
_BREAKERS = Panel("breakers\nopen", (Curve(_open_breakers),))
_IN_POSTGRES = Panel("units left\nin Postgres", (Curve(_IN_STORES[0]),))
_IN_REDIS = Panel("units left\nin Redis", (Curve(_IN_STORES[1]),))
_UNITS = Panel(
    "units left", (Curve(_IN_STORES[0], name="in Postgres"), Curve(_IN_STORES[1], "--", name="in Redis", aside=True))
)
_STATEMENTS = Panel("Postgres\nstatements/s", (Curve(_seen(lambda vitals: vitals.statements_per_s)),))
_PRODUCT_READS = Panel(
    "product reads\nin Postgres/s", (Curve(_seen(lambda vitals: vitals.database_reads_per_s)),), if_any=True
)
_HELD = Panel(
    "held for, s",
    (
        Curve(_seen(_longest_lock), name="longest lock", limit=(LOCK_LEASE_S, "a lock's lease")),
        Curve(_seen(lambda vitals: vitals.oldest_transaction_s), ":", name="oldest transaction"),
    ),
    if_any=True,
)
_SOLD = Panel("sold/s", (Curve(lambda each: each.course.sold),))
_REFUSED = Panel("refused/s", (Curve(lambda each: each.course.refused),))
