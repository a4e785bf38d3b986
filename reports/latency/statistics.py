"""Figures over repetitions: intervals, and when a difference is one. Pure; random draws are seeded.

Intervals are percentile bootstraps (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13) over
trials, never over requests, since the requests of one trial share its luck. Differences are tested by Mann and
Whitney's U ("On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other", 1947), exact.
"""

from __future__ import annotations

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

    ``p_value``: of Mann and Whitney's test that neither tends to be the larger. ``least_possible_p``: what it would be
    if the two did not overlap at all; above 0.05 there are too few repetitions to call anything a difference.
    """

    base: float
    new: float
    ratio: float
    least: float
    greatest: float
    p_value: float
    least_possible_p: float

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANT

    @property
    def decidable(self) -> bool:
        """Whether the repetitions are enough for any difference to be significant."""
        return self.least_possible_p < SIGNIFICANT


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
        p_value=_p_value(before, after),
        least_possible_p=_p_value(np.arange(0.0, len(before)), np.arange(0.0, len(after)) + len(before)),
    )


def _p_value(before: Values, after: Values) -> float:
    if np.array_equal(np.unique(before), np.unique(after)) and len(np.unique(before)) == 1:
        return 1.0
    return float(mannwhitneyu(before, after, alternative="two-sided").pvalue)


def _means(values: Values, chance: np.random.Generator) -> Values:
    drawn = chance.integers(0, len(values), (_RESAMPLES, len(values)))
    return np.asarray(values[drawn].mean(axis=1), np.float64)
