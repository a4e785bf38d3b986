"""Who held a lock for how long, as far as telemetry saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from reports.outages.course import Floats

TICK_S = 0.1  # from one reading of telemetry to the next
LONGEST_GAP_S = 1.5  # without a look, on a busy machine
_NO_LEASE_S = -1.0  # what telemetry says is left of one that has none


@dataclass(frozen=True, slots=True)
class Holding:
    """A lock in one owner's hand: from when to when it was seen, in seconds since the release of the load.

    It was held for at least so long, and for less than a look more. ``leased``: it was seen to have a time to live.
    """

    lock: str
    from_s: float
    to_s: float
    leased: bool

    @property
    def held_s(self) -> float:
        return self.to_s - self.from_s


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks that a strategy declares. ``longest_s``: at each look, of those held just then; 0 if none was."""

    at_s: Floats
    longest_s: Floats
    holdings: tuple[Holding, ...]

    @classmethod
    def of(cls, counts: pd.DataFrame, held: pd.DataFrame, left: pd.DataFrame) -> Locks | None:
        """Of telemetry's readings of locks_held, lock_held_s and lock_left_s; None if nobody looked."""
        if counts.empty:
            return None
        longest = held.groupby("at_s", sort=True)["value"].max()
        at_s = counts["at_s"].to_numpy(np.float64)
        return cls(
            at_s=at_s,
            longest_s=longest.reindex(at_s, fill_value=0.0).to_numpy(np.float64),
            holdings=tuple(
                holding
                for lock, part in held.groupby("subject", sort=True)
                for holding in _holdings(str(lock), part, left[left["subject"] == lock])
            ),
        )

    def past(self, lease_s: float, since_s: float) -> tuple[Holding, ...]:
        """What one owner was seen to hold for longer than that, or without a lease, at any time since."""
        most_s = lease_s + TICK_S  # a look may be stamped late
        return tuple(
            each for each in self.holdings if (each.held_s > most_s or not each.leased) and each.to_s >= since_s
        )

    def watched(self, from_s: float, to_s: float, away_s: Sequence[tuple[float, float]]) -> bool:
        """Whether somebody looked from the first moment to the last, but for when Redis was away."""
        looks = np.array([*self.at_s[self.at_s <= from_s][-1:], *self.at_s[self.at_s > from_s], to_s])
        if len(looks) < 2 or looks[0] > from_s:
            return False
        return all(
            after - before <= LONGEST_GAP_S
            or any(begins <= before + LONGEST_GAP_S and ends >= after - LONGEST_GAP_S for begins, ends in away_s)
            for before, after in pairwise(looks.tolist())
        )


def _holdings(lock: str, held: pd.DataFrame, left: pd.DataFrame) -> Sequence[Holding]:
    """A new owner is one that has been seen for no time at all."""
    at_s, held_s = held["at_s"].to_numpy(np.float64), held["value"].to_numpy(np.float64)
    unleased = left.loc[left["value"] == _NO_LEASE_S, "at_s"].to_numpy(np.float64)
    begins = np.flatnonzero((held_s == 0) | (np.arange(len(held_s)) == 0))
    ends = np.append(begins[1:], len(held_s)) - 1
    return [
        Holding(
            lock,
            from_s=float(at_s[end] - held_s[end]),
            to_s=float(at_s[end]),
            leased=not ((unleased >= at_s[begin]) & (unleased <= at_s[end])).any(),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]
