"""What was lost, over pairs of slices that were measured side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

_SEED = 7


@dataclass(frozen=True, slots=True)
class Lost:
    """The median share that was lost, with a 95 % interval of the median (percentile bootstrap over the pairs)."""

    median: float
    least: float
    greatest: float
    pairs: int

    @classmethod
    def of(cls, watched: Sequence[float], unwatched: Sequence[float]) -> Lost:
        """From the throughput of both halves of every pair, at least one."""
        shares = 1 - np.array(watched, np.float64) / np.array(unwatched, np.float64)
        median = float(np.median(shares))
        if len(shares) < 2:
            return cls(median, median, median, len(shares))
        found = bootstrap(
            (shares,), np.median, method="percentile", vectorized=True, rng=np.random.default_rng(_SEED)
        ).confidence_interval
        return cls(median, float(found.low), float(found.high), len(shares))

    def __str__(self) -> str:
        return (
            f"{100 * self.median:.1f} % median of {self.pairs} pairs "
            f"(95 % interval {100 * self.least:.1f} to {100 * self.greatest:.1f} %)"
        )
