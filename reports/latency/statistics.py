"""Figures over repetitions: intervals, and when a difference is one. Pure; random draws are seeded.

Intervals are percentile bootstraps (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13) over
trials, never over requests, since the requests of one trial share its luck. Differences are tested by Mann and
Whitney's U ("On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other", 1947), exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

from reports.latency.percentiles import Values

LEAST_FOR_AN_INTERVAL = 5  # below that a bootstrap only repeats the range
SIGNIFICANT = 0.05
_RESAMPLES = 4000
_SEED = 20_221_111


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over ``n`` repetitions: the mean, and an interval.

    ``least`` and ``greatest`` bound a 95 % bootstrap interval of the mean, or are the range where there are fewer than
    five repetitions.
    """

    mean: float
    least: float
    greatest: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Estimate | None:
        """None if no repetition has the figure."""
        known = np.array([value for value in values if value is not None], np.float64)
        if not len(known):
            return None
        if len(known) < LEAST_FOR_AN_INTERVAL:
            return cls(float(known.mean()), float(known.min()), float(known.max()), len(known))
        least, greatest = np.quantile(_means(known, np.random.default_rng(_SEED)), [0.025, 0.975])
        return cls(float(known.mean()), float(least), float(greatest), len(known))

    def times(self, factor: float) -> Estimate:
        """In another unit."""
        return Estimate(factor * self.mean, factor * self.least, factor * self.greatest, self.n)


@dataclass(frozen=True, slots=True)
class Difference:
    """How ``new`` differs from ``base``: the ratio of means (1 is equal) with a 95 % bootstrap interval.

    ``p_value``: of Mann and Whitney's test that neither tends to be the larger; ``p_greater`` and ``p_less``: of the
    one-sided tests that the new tends to be no greater, and no less. ``has_interval``: not if either is one trial.
    """

    base: float
    new: float
    ratio: float
    least: float
    greatest: float
    has_interval: bool
    p_value: float
    p_greater: float
    p_less: float
    counts: tuple[int, int]

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANT


def difference(base: Sequence[float], new: Sequence[float]) -> Difference | None:
    """None if either is empty, or the base's mean is 0."""
    before, after = np.array(base, np.float64), np.array(new, np.float64)
    if not len(before) or not len(after) or before.mean() == 0:
        return None
    chance = np.random.default_rng(_SEED)
    means_before, means_after = _means(before, chance), _means(after, chance)
    usable = means_before != 0
    least, greatest = np.quantile(means_after[usable] / means_before[usable], [0.025, 0.975])
    return Difference(
        base=float(before.mean()),
        new=float(after.mean()),
        ratio=float(after.mean() / before.mean()),
        least=float(least),
        greatest=float(greatest),
        has_interval=min(len(before), len(after)) > 1,
        p_value=_p_value(before, after, "two-sided"),
        p_greater=_p_value(before, after, "less"),
        p_less=_p_value(before, after, "greater"),
        counts=(len(before), len(after)),
    )


def least_p(counts: tuple[int, int]) -> float:
    """The least that a one-sided test of so many against so many can give: when they do not overlap at all.

    >>> least_p((5, 5)) == 1 / 252
    True
    """
    return 1 / math.comb(sum(counts), counts[0])


def repetitions_needed(tests: int) -> int:
    """How many trials on either side it takes for one of so many one-sided tests to be significant by Holm's method.

    >>> [repetitions_needed(tests) for tests in (1, 6, 12, 20)]
    [4, 5, 5, 6]
    """
    count = 1
    while least_p((count, count)) * tests >= SIGNIFICANT:
        count += 1
    return count


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which are significant among all (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979)."""
    kept = [False] * len(p_values)
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] * (len(p_values) - step) >= SIGNIFICANT:
            break
        kept[place] = True
    return kept


def _p_value(before: Values, after: Values, alternative: str) -> float:
    if len({*before.tolist(), *after.tolist()}) == 1:
        return 1.0
    return float(mannwhitneyu(before, after, alternative=alternative).pvalue)


def _means(values: Values, chance: np.random.Generator) -> Values:
    drawn = chance.integers(0, len(values), (_RESAMPLES, len(values)))
    return np.asarray(values[drawn].mean(axis=1), np.float64)
