"""What each protection of the app buys: cases that differ in nothing but how the app was set, side by side."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.latency.figures import TrialFigures
from reports.latency.statistics import Estimate
from reports.outages.faults import together
from reports.outages.vitals import Line, Vitals
from reports.places import places
from reports.summary import Summary
from reports.wiring import Wiring

NOTHING_FAILS = "Without a fault"


@dataclass(frozen=True, slots=True)
class Protected:
    """All trials of one strategy in a case, at least one, under one setting of the app."""

    strategy: str
    case: str
    trials: tuple[TrialFigures, ...]

    @property
    def wiring(self) -> Wiring:
        return self.trials[0].wiring

    def estimate(self, figure: Callable[[TrialFigures], float | None]) -> Estimate | None:
        """One figure over the trials."""
        return Estimate.of([figure(each) for each in self.trials])

    @property
    def database_reads_per_s(self) -> Estimate | None:
        """Products read from Postgres, in the worst second."""
        return self.estimate(lambda each: peak(each, lambda vitals: vitals.database_reads_per_s))


@dataclass(frozen=True, slots=True)
class Protections:
    """The same load and faults under different settings of the app.

    ``faults`` are the faults in words, empty for none; ``words`` tells these from other such tables.
    """

    faults: str
    words: str
    rows: tuple[Protected, ...]

    def beside(self, row: Protected) -> Protected | None:
        """The same strategy with the app as it is; None if that was not run, or is this row."""
        found = (each for each in self.rows if each.strategy == row.strategy and not each.wiring.app)
        return next(found, None) if row.wiring.app else None

    def reads_per_s(self, row: Protected) -> tuple[float, float] | None:
        """Products read from Postgres with the app as it is, and in this row; None unless both are known, some read."""
        before = self.beside(row)
        least, most = before.database_reads_per_s if before else None, row.database_reads_per_s
        return (least.mean, most.mean) if least is not None and most is not None and least.mean > 0 else None

    @property
    def most_read(self) -> tuple[Protected, ...]:
        """Of each strategy the row in which Postgres was read most, if it is known how often the app as it is did."""
        strategies = dict.fromkeys(row.strategy for row in self.rows)
        compared = [row for row in self.rows if self.reads_per_s(row) is not None]
        return tuple(rows[-1] for each in strategies if (rows := [row for row in compared if row.strategy == each]))


def protections(summary: Summary) -> tuple[Protections, ...]:
    """Only where at least two settings met the same load and faults."""
    groups: dict[str, list[TrialFigures]] = {}
    for each in summary.own:
        faults = [fault.model_dump() for fault in each.planned]
        key = json.dumps([each.load, each.wiring.store_rtt_ms, faults], sort_keys=True)
        groups.setdefault(key, []).append(each)
    compared = [_rows(group) for group in groups.values() if len({each.wiring.app for each in group}) > 1]
    told = Counter(map(_faults, compared))
    return tuple(Protections(_faults(rows), _words(rows, alone=told[_faults(rows)] == 1), rows) for rows in compared)


def _faults(rows: Sequence[Protected]) -> str:
    return together(rows[0].trials[0].planned)


def _words(rows: Sequence[Protected], *, alone: bool) -> str:
    """The faults; with a case where there are other such tables of them."""
    return f"{_faults(rows) or NOTHING_FAILS}{'' if alone else f' ({rows[0].case})'}"


def since_s(trial: TrialFigures) -> float:
    """When the first fault came; of a trial without one, before everything."""
    return trial.spans[0].from_s if trial.spans else -math.inf


def peak(trial: TrialFigures, line: Callable[[Vitals], Line | None]) -> float | None:
    """The most of what telemetry saw, from the first fault on if there was one; None if it did not look."""
    found = line(trial.vitals) if trial.vitals is not None else None
    return found.most(since_s(trial)) if found is not None else None


def _rows(trials: Sequence[TrialFigures]) -> tuple[Protected, ...]:
    rows: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[TrialFigures]] = {}
    for each in trials:
        rows.setdefault((each.strategy, each.case, each.wiring.app), []).append(each)
    place = places(strategy for strategy, _, _ in rows)
    protected = [Protected(strategy, case, tuple(trials)) for (strategy, case, _), trials in rows.items()]
    return tuple(sorted(protected, key=lambda row: (place[row.strategy], _by_reads(row))))


def _by_reads(row: Protected) -> tuple[bool, float, int, str]:
    """The app as it is comes first, then the settings by how often Postgres was read, last those of unknown reads."""
    reads = row.database_reads_per_s
    settings = row.wiring.app
    return bool(settings), reads.mean if reads is not None else math.inf, len(settings), row.case
