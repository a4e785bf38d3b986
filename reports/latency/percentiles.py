"""Exact percentiles of recorded values, withheld where there are too few to say."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

SHOWN = (0.50, 0.95, 0.99)
_CONFIDENCE = 0.975
_CURVE_POINTS = 160


def least_samples(share: float) -> int:
    """How many values a percentile needs before anything can be said of it.

    The fewest for which some observed value is an upper 97.5 % confidence bound of it: 1 − share**n >= 0.975 (the
    distribution-free interval of Hahn and Meeker, "Statistical Intervals", 1991, section 5.2).

    >>> [least_samples(share) for share in (0.5, 0.95, 0.99, 0.999)]
    [6, 72, 368, 3688]
    """
    return math.ceil(math.log(1 - _CONFIDENCE) / math.log(share))


def percentile(ordered: Values, share: float) -> float | None:
    """The smallest value that at least ``share`` of all are not above; None where there are too few values.

    ``ordered`` ascends. This is the inverse of the empirical distribution: always a value that was observed.
    """
    if len(ordered) < least_samples(share):
        return None
    return float(ordered[math.ceil(share * len(ordered)) - 1])


def curve(ordered: Values) -> list[tuple[float, float]]:
    """Points (share, value) up to the highest share that the number of values supports, dense towards the tail."""
    if len(ordered) < least_samples(0.5):
        return []
    highest = (1 - _CONFIDENCE) ** (1 / len(ordered))
    nines = np.linspace(0, -math.log10(1 - highest), _CURVE_POINTS)
    shares = 1 - 10.0**-nines
    places = np.clip(np.ceil(shares * len(ordered)).astype(int) - 1, 0, len(ordered) - 1)
    return [(float(share), float(value)) for share, value in zip(shares, ordered[places], strict=True)]
