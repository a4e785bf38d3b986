"""How the round trip to the stores changes the ranking: cases without faults that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashbench.vocabulary import Outcome
from reports.latency.figures import StrategyFigures
from reports.summary import Summary
from reports.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Distance:
    """One round trip: as it was set, as it was measured, and what each strategy made of it."""

    set_ms: float
    measured_ms: float | None
    case: str
    rows: tuple[StrategyFigures, ...]

    def of(self, strategy: str) -> StrategyFigures | None:
        return next((row for row in self.rows if row.strategy == strategy), None)

    def rank(self, strategy: str) -> int | None:
        """By sales per second, 1 for the fastest: how many others are surely faster, their range above its own."""
        row = self.of(strategy)
        own = row.sales_per_s if row is not None else None
        others = [each.sales_per_s for each in self.rows if each.sales_per_s is not None]
        return 1 + sum(each.least > own.greatest for each in others) if own is not None else None

    @property
    def ranking(self) -> tuple[tuple[str, ...], ...]:
        """All of them, as ``among`` has it."""
        return self.among([row.strategy for row in self.rows])

    def among(self, strategies: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """These strategies, the fastest first, those of one rank together."""
        ranks: dict[int, list[str]] = {}
        for strategy in strategies:
            rank = self.rank(strategy)
            if rank is not None:
                ranks.setdefault(rank, []).append(strategy)
        return tuple(tuple(ranks[rank]) for rank in sorted(ranks))


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """One load over several distances, the nearest first."""

    scenario: str
    distances: tuple[Distance, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.strategy for each in self.distances for row in each.rows))

    @property
    def measured(self) -> bool:
        """Whether every round trip was measured; else only what was set can be told."""
        return all(each.measured_ms is not None for each in self.distances)

    def at_ms(self, distance: Distance) -> float:
        """Where it lies on an axis: as measured, if all were."""
        return distance.measured_ms if self.measured and distance.measured_ms is not None else distance.set_ms


def round_trips(summary: Summary) -> tuple[RoundTrips, ...]:
    """Only where at least two round trips were put between the same app and its stores, under the same load."""
    cases: dict[str, tuple[str, Wiring]] = {}
    for each in summary.own:
        if each.quiet:
            cases.setdefault(each.case, (each.load, each.wiring))
    groups: dict[object, list[Distance]] = {}
    for case, (load, wiring) in cases.items():
        rows = summary.compared_rows(case)
        distance = Distance(wiring.store_rtt_ms, wiring.round_trip_ms, case, rows)
        groups.setdefault((load, wiring.app), []).append(distance)
    return tuple(
        RoundTrips(group[0].rows[0].scenario, tuple(sorted(group, key=lambda each: each.set_ms)))
        for group in groups.values()
        if len({each.set_ms for each in group}) > 1
    )


def sold_p95_ms(row: StrategyFigures) -> float | None:
    """Over all purchases that were sold; None where there are too few to say."""
    return row.percentiles[Outcome.SOLD][0.95]


def ranking_words(found: RoundTrips) -> str:
    """Whether the order of the strategies is the same at every distance, in a sentence."""
    everywhere = [each for each in found.strategies if all(where.rank(each) is not None for where in found.distances)]
    if len(everywhere) < 2:
        return "Fewer than two strategies sold at every round trip, so there is no ranking to be changed."
    left_out = [each for each in found.strategies if each not in everywhere]
    but = f" Without {' and '.join(left_out)}, which did not sell at every one." if left_out else ""
    rankings = [(each, each.among(everywhere)) for each in found.distances]
    first = rankings[0][1]
    if all(ranking == first for _, ranking in rankings):
        return f"By sales per second the order is the same at every round trip: {_order(first)}.{but}"
    told = "; ".join(f"at {each.set_ms:g} ms {_order(ranking)}" for each, ranking in rankings)
    if _some_change_places([ranking for _, ranking in rankings]):
        return f"By sales per second the order changes: {told}.{but}"
    return f"By sales per second no two change places, but they are not told apart at every round trip: {told}.{but}"


def _some_change_places(rankings: Sequence[Sequence[Sequence[str]]]) -> bool:
    """Whether one strategy is ahead of another in one ranking, and behind it in another."""
    ahead = {
        (one, other)
        for ranking in rankings
        for place, rank in enumerate(ranking)
        for one in rank
        for later in ranking[place + 1 :]
        for other in later
    }
    return any((other, one) in ahead for one, other in ahead)


def _order(ranking: Sequence[Sequence[str]]) -> str:
    return ", then ".join(" and ".join(rank) + (" alike" if len(rank) > 1 else "") for rank in ranking)
