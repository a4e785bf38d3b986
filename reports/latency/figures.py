"""The figures of one trial, and of all trials of one strategy. The drain is never among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import PlannedFault
from flashbench.evidence.records import OUTCOMES
from flashbench.vocabulary import Outcome
from reports.checks.history import NEVER, Bools, History
from reports.latency.cache import CacheFigures, cache_figures
from reports.latency.percentiles import SHOWN, Values, curve, percentile
from reports.latency.statistics import Estimate
from reports.outages.answers import Unknowns, unknowns
from reports.outages.course import Course, course
from reports.outages.outage import OutageFigures
from reports.outages.spans import Span, spans, unplanned
from reports.outages.vitals import Vitals, vitals
from reports.wiring import Way, Wiring


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the purchases that ended in one outcome: ascending milliseconds from three points of view.

    ``done``: from the intended start of the first try to the decisive answer, retries included. ``sent``: from the
    first byte sent of the decisive try. ``server``: what the target stated for it.
    """

    done_ms: Values
    sent_ms: Values
    server_ms: Values


@dataclass(frozen=True, slots=True)
class TrialFigures:
    """One trial's load, in numbers. None where the evidence says nothing of it.

    ``sell_out_s``: from the barrier to the answer with which the whole initial stock was acknowledged, None if the load
    did not get there. ``lost_sales``: purchases begun before that moment which ended ``failed``, or ``unknown`` and not
    in the ledger: buyers who came in time and got nothing. ``sales_per_s``: purchases sold, until the last of them;
    ``refusals_per_s``: sold out and limited, from the first refusal to the last. ``statements_per_attempt``: Postgres
    statements during the load by everything on the server, over the purchases. ``first_come``: of the purchases that
    were sold, the share which a queue in the order of sending would have sold to; None if the load did not sell out.
    ``waiting``: purchases in flight when the stock was gone. ``before_ms``, ``after_ms``: latency of the purchases sent
    before and after the stock was gone. ``course`` and ``vitals`` tell how the trial went over time, ``planned`` and
    ``spans`` which faults it was to meet and which it met, and ``outage`` what came of them.
    """

    trial: str
    strategy: str
    scenario: str
    case: str
    load: str  # what was asked for, faults and wiring apart
    wiring: Wiring
    planned: tuple[PlannedFault, ...]
    seed: int
    purchases: int
    tries: int
    by_outcome: dict[Outcome, int]
    latency: dict[Outcome, Latency]
    units_sold: int
    first_sold_s: float | None
    sell_out_s: float | None
    sales_per_s: float | None
    refusals_per_s: float | None
    lost_sales: int
    statements_per_attempt: float | None
    first_come: float | None
    waiting: int | None
    before_ms: Values
    after_ms: Values
    cache: CacheFigures | None
    course: Course
    vitals: Vitals | None
    spans: tuple[Span, ...]
    unknowns: Unknowns
    outage: OutageFigures | None = None

    @property
    def quiet(self) -> bool:
        """No fault came, and none was to come."""
        return not self.planned and not self.spans

    @property
    def like(self) -> tuple[str, str, Way]:
        """Trials that are alike in this may be measured by each other, but for their faults."""
        return self.strategy, self.load, self.wiring.way

    @property
    def unplanned(self) -> tuple[tuple[float, float], ...]:
        """When Redis was away, from second to second, though no planned fault was on."""
        return unplanned(self.spans, self.vitals)


def figures(bundle: Bundle) -> TrialFigures:
    """The figures of a trial's load."""
    history = History.of(bundle)
    purchases, tries = history.purchases, history.tries
    load = ~purchases.in_drain
    began_ns = _began_ns(bundle, history)
    answered = load & (purchases.returned_ns < np.iinfo(np.int64).max)
    outcomes = np.array([OUTCOMES[code] for code in range(len(OUTCOMES))])
    sold = answered & (outcomes[purchases.outcome] == Outcome.SOLD)
    refused = answered & np.isin(outcomes[purchases.outcome], [Outcome.SOLD_OUT, Outcome.LIMITED])
    sell_out_ns = _sell_out_ns(bundle, history, sold)
    sold_at = np.sort(purchases.returned_ns[sold])
    server_us = bundle.tries["server_us"].to_numpy(dtype=np.float64, na_value=np.nan)
    latency = {}
    for outcome in Outcome:
        chosen = answered & (outcomes[purchases.outcome] == outcome)
        first, decisive = purchases.first[chosen], purchases.decisive[chosen]
        latency[outcome] = Latency(
            done_ms=np.sort((tries.returned_ns[decisive] - tries.intended_ns[first]) / 1e6),
            sent_ms=np.sort((tries.returned_ns[decisive] - tries.invoked_ns[decisive]) / 1e6),
            server_ms=_known(server_us[decisive] / 1e3),
        )
    statements = bundle.trial.cost.postgres_statements
    count = int(load.sum())
    seen = course(bundle, history, began_ns, sell_out_ns)
    return TrialFigures(
        trial=bundle.trial.trial,
        strategy=bundle.trial.strategy,
        scenario=bundle.trial.scenario,
        case=bundle.trial.case_name,
        load=json.dumps([bundle.trial.scenario, bundle.trial.parameters], sort_keys=True),
        wiring=Wiring.of(bundle.trial.wiring),
        planned=bundle.trial.planned_faults,
        seed=bundle.trial.seed,
        purchases=count,
        tries=int((~tries.in_drain).sum()),
        by_outcome={outcome: int((load & (outcomes[purchases.outcome] == outcome)).sum()) for outcome in Outcome},
        latency=latency,
        units_sold=int(purchases.quantity[sold].sum()),
        first_sold_s=(int(sold_at[0]) - began_ns) / 1e9 if len(sold_at) else None,
        sell_out_s=(sell_out_ns - began_ns) / 1e9 if sell_out_ns is not None else None,
        sales_per_s=_rate(len(sold_at), (int(sold_at[-1]) - began_ns) / 1e9) if len(sold_at) else None,
        refusals_per_s=_rate_within(purchases.returned_ns[refused]),
        lost_sales=_lost_sales(history, load, sell_out_ns),
        statements_per_attempt=statements / count if statements is not None and count else None,
        first_come=_first_come(history, load, sold) if sell_out_ns is not None else None,
        waiting=_waiting(history, load, sell_out_ns) if sell_out_ns is not None else None,
        before_ms=_done_ms(history, answered & (purchases.invoked_ns < (sell_out_ns or NEVER))),
        after_ms=_done_ms(history, answered & (purchases.invoked_ns >= (sell_out_ns or NEVER))),
        cache=cache_figures(bundle),
        course=seen,
        vitals=vitals(bundle, began_ns),
        spans=spans(bundle, began_ns, seen.ended_s),
        unknowns=unknowns(history),
    )


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    """All valid trials of one strategy in one case. Percentiles are of the pooled purchases, by outcome."""

    strategy: str
    scenario: str
    case: str
    trials: int
    first_sold_s: Estimate | None
    first_come: Estimate | None
    sales_per_s: Estimate | None
    refusals_per_s: Estimate | None
    sell_out_s: Estimate | None
    lost_sales: int
    statements_per_attempt: Estimate | None
    counts: dict[Outcome, int]
    percentiles: dict[Outcome, dict[float, float | None]]
    curves: dict[Outcome, list[tuple[float, float]]]
    server_p50_ms: dict[Outcome, float | None]
    before: dict[float, float | None]  # percentiles of the purchases sent before the stock was gone
    after: dict[float, float | None]


def pooled(trials: Sequence[TrialFigures]) -> StrategyFigures:
    """The trials of one strategy in one case, at least one, together."""

    def estimate(figure: Callable[[TrialFigures], float | None]) -> Estimate | None:
        return Estimate.of([figure(trial) for trial in trials])

    done = {outcome: _merged([trial.latency[outcome].done_ms for trial in trials]) for outcome in Outcome}
    server = {outcome: _merged([trial.latency[outcome].server_ms for trial in trials]) for outcome in Outcome}
    return StrategyFigures(
        strategy=trials[0].strategy,
        scenario=trials[0].scenario,
        case=trials[0].case,
        trials=len(trials),
        first_sold_s=estimate(lambda trial: trial.first_sold_s),
        first_come=estimate(lambda trial: trial.first_come),
        sales_per_s=estimate(lambda trial: trial.sales_per_s),
        refusals_per_s=estimate(lambda trial: trial.refusals_per_s),
        sell_out_s=estimate(lambda trial: trial.sell_out_s),
        lost_sales=sum(trial.lost_sales for trial in trials),
        statements_per_attempt=estimate(lambda trial: trial.statements_per_attempt),
        counts={outcome: len(done[outcome]) for outcome in Outcome},
        percentiles={outcome: {share: percentile(done[outcome], share) for share in SHOWN} for outcome in Outcome},
        curves={outcome: curve(done[outcome]) for outcome in Outcome},
        server_p50_ms={outcome: percentile(server[outcome], 0.5) for outcome in Outcome},
        before=_shown(_merged([trial.before_ms for trial in trials])),
        after=_shown(_merged([trial.after_ms for trial in trials])),
    )


def _shown(ordered: Values) -> dict[float, float | None]:
    return {share: percentile(ordered, share) for share in SHOWN}


def _began_ns(bundle: Bundle, history: History) -> int:
    """The barrier; for a load without one, the first try's intended start."""
    released = bundle.trial.moments.released_ns
    if released is not None:
        return released
    intended = history.tries.intended_ns[~history.tries.in_drain]
    return int(intended.min()) if len(intended) else bundle.trial.moments.opened_ns


def _sell_out_ns(bundle: Bundle, history: History, sold: Bools) -> int | None:
    purchases = history.purchases
    order = np.argsort(purchases.returned_ns[sold], kind="stable")
    total = np.cumsum(purchases.quantity[sold][order])
    initial = sum(item.stock for item in bundle.trial.sale.items)
    place = int(np.searchsorted(total, initial))
    return int(purchases.returned_ns[sold][order][place]) if initial and place < len(total) else None


def _waiting(history: History, load: Bools, at_ns: int) -> int:
    purchases = history.purchases
    return int((load & (purchases.invoked_ns < at_ns) & (purchases.returned_ns >= at_ns)).sum())


def _lost_sales(history: History, load: Bools, sell_out_ns: int | None) -> int:
    purchases = history.purchases
    outcomes = np.array([OUTCOMES[code] for code in range(len(OUTCOMES))])[purchases.outcome]
    in_time = load if sell_out_ns is None else load & (purchases.invoked_ns < sell_out_ns)
    committed = np.zeros(len(purchases), bool)
    if history.ledger is not None:
        committed[history.ledger.purchase[history.ledger.purchase >= 0]] = True
    failed = outcomes == Outcome.FAILED
    vanished = (outcomes == Outcome.UNKNOWN) & ~committed
    return int((in_time & (failed | vanished)).sum())


def _first_come(history: History, load: Bools, sold: Bools) -> float | None:
    """How many of the sold were among the first to be sent: no faster queue could have sold to others."""
    winners = int(sold.sum())
    if not winners:
        return None
    chosen = np.flatnonzero(load)
    first = chosen[np.argsort(history.purchases.invoked_ns[chosen], kind="stable")[:winners]]
    return float(sold[first].mean())


def _done_ms(history: History, chosen: Bools) -> Values:
    purchases, tries = history.purchases, history.tries
    first = purchases.first[chosen]
    return np.sort((purchases.returned_ns[chosen] - tries.intended_ns[first]) / 1e6)


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if seconds > 0 else None


def _rate_within(stamps_ns: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float | None:
    if len(stamps_ns) < 2:
        return None
    return _rate(len(stamps_ns), float(stamps_ns.max() - stamps_ns.min()) / 1e9)


def _known(values: Values) -> Values:
    return np.sort(values[~np.isnan(values)])


def _merged(parts: Sequence[Values]) -> Values:
    return np.sort(np.concatenate(parts)) if parts else np.empty(0)
