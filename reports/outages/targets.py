"""What a reference strategy has to reach while something fails: the figures, and to which faults they apply. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from scipy.stats import binom

from reports.outages.course import PATIENCE_S
from reports.outages.faults import Hurts

SEEDS = 10  # trials of each strategy and fault
DETECTION_S = 0.5  # after every injection, in which purchases may fail
RECOVERY_S = 3.0  # from a heal
LEAST_WATCHED_S = 1.0  # by which a recovery must have been looked for, if that it was not seen may be chance
BURST_S = 1.0  # by which a crowd that came just then may put off a recovery: windows are a second long
CHANCE = 0.05  # what is likelier than this to be seen where nothing failed is no miss
LOCK_LEASE_S = 3.0  # of the reference strategies' locks
LEAST_CRASHES = 20  # of Postgres, over which no acknowledged order may be lost


def by_chance(trials: int, share: float) -> int:
    """In how many of so many trials a recovery may go unseen, if after such a share of the moments of loads without a
    fault none is seen either: as many as would be seen there with a probability of more than ``CHANCE``.

    >>> by_chance(10, 0.0), by_chance(10, 0.002), by_chance(10, 0.01), by_chance(10, 0.1)
    (0, 0, 1, 3)
    """
    return int(binom.ppf(1 - CHANCE, trials, share))


class Unit(Enum):
    """How a figure is written. It is rounded to the worse, so that what misses a target never looks as if it met it."""

    SHARE = "share"
    SECONDS = "seconds"
    COUNT = "count"

    def said(self, value: float) -> str:
        """
        >>> Unit.SHARE.said(0.98999), Unit.SECONDS.said(2.0001), Unit.COUNT.said(3)
        ('98.99 %', '2.01 s', '3')
        """
        if self is Unit.SHARE:
            return f"{math.floor(1e4 * value + 1e-6) / 100:.2f} %".replace(".00", "")
        if self is Unit.SECONDS:
            return f"{math.ceil(100 * value - 1e-6) / 100:g} s"
        return f"{value:,.0f}"

    def apart(self, one: float, other: float) -> str:
        """
        >>> Unit.SHARE.apart(0.978, 0.99), Unit.SECONDS.apart(2.31, 2.0)
        ('1.20 points', '0.31 s')
        """
        if self is Unit.SHARE:
            return f"{max(0.01, 100 * abs(one - other)):.2f} points"
        return f"{max(0.01, abs(one - other)):.2f} s" if self is Unit.SECONDS else f"{abs(one - other):,.0f}"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure's limit, which it must reach (``at_least``) or may not exceed.

    It applies where every fault hurts one of ``only``; everywhere if that is empty. ``short`` is its name on a mark.
    """

    name: str
    short: str
    limit: float
    unit: Unit = Unit.COUNT
    at_least: bool = False
    only: frozenset[Hurts] = frozenset()

    def allows(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def applies(self, whom: Collection[Hurts]) -> bool:
        """Whether it is asked of a case whose faults hurt these."""
        return not self.only or (bool(whom) and self.only.issuperset(whom))


_REDIS = frozenset({Hurts.REDIS})

AVAILABILITY = Target("availability while failing", "availability", 0.99, Unit.SHARE, at_least=True, only=_REDIS)
SLOWEST_REQUEST = Target("slowest request", "slow request", PATIENCE_S, Unit.SECONDS, only=_REDIS)
RECOVERY = Target("recovery", "recovery", RECOVERY_S, Unit.SECONDS, only=_REDIS)
OVERSOLD = Target("units oversold", "oversold", 0)
LOST = Target("acknowledged orders lost", "lost", 0)
WRONG = Target("wrong answers", "wrong answers", 0)
LEAKED = Target("units leaked", "leaked", 0)
STORES = Target("stores wrong in the end", "stores", 0)
UNRESOLVED = Target("unknowns unresolved", "unresolved", 0)
STALE_LOCKS = Target("locks past their lease", "locks", 0)

TARGETS = (AVAILABILITY, SLOWEST_REQUEST, RECOVERY, OVERSOLD, LOST, WRONG, LEAKED, STORES, UNRESOLVED, STALE_LOCKS)
