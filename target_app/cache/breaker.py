"""A circuit breaker: a pure state machine, given the time and the randomness.

Nygard, "Release It!", 2007. It opens on a run of failures or on a high share of recent ones, stays open for a short and
jittered while, then lets a few probes through; the first that succeeds closes it, the first that fails opens it again.
"""

from __future__ import annotations

import math
import random
import sys
from collections import deque
from dataclasses import dataclass
from enum import Enum


class BreakerState(Enum):
    """``level`` is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2

    @property
    def level(self) -> int:
        return self.value


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When to open, for how long, and how many probes to let through at once."""

    consecutive_failures: int = 5
    window_calls: int = 20
    window_s: float = 1.0
    window_failure_share: float = 0.5
    open_min_s: float = 0.3
    open_max_s: float = 0.6
    probes: int = 3


NEVER_OPENS = BreakerLimits(consecutive_failures=sys.maxsize, window_failure_share=math.inf)


class CircuitBreaker:
    """Ask ``admit`` before a call, and tell what came of it with the ticket it gave."""

    def __init__(self, rng: random.Random, limits: BreakerLimits = BreakerLimits()) -> None:
        self._rng = rng
        self._limits = limits
        self._run = 0
        self._recent: deque[tuple[float, bool]] = deque(maxlen=limits.window_calls)
        self._open_until_s = 0.0
        self._probing = 0
        self._generation = 0  # changes with the state, so that what comes late of an earlier one is told apart
        self.state = BreakerState.CLOSED

    def admit(self, now_s: float) -> int | None:
        """A ticket for one call, or None: don't call."""
        if self.state is BreakerState.OPEN and now_s >= self._open_until_s:
            self._enter(BreakerState.HALF_OPEN)
        if self.state is BreakerState.OPEN:
            return None
        if self.state is BreakerState.HALF_OPEN:
            if self._probing >= self._limits.probes:
                return None
            self._probing += 1
        return self._generation

    def would_admit(self, now_s: float) -> bool:
        """Whether ``admit`` would give a ticket; changes nothing."""
        if self.state is BreakerState.OPEN:
            return now_s >= self._open_until_s
        return self.state is BreakerState.CLOSED or self._probing < self._limits.probes

    def succeeded(self, ticket: int, now_s: float) -> None:
        """The call was answered."""
        if ticket != self._generation:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.CLOSED)
        self._run = 0
        self._recent.append((now_s, True))

    def failed(self, ticket: int, now_s: float) -> None:
        """The call was not answered: no connection, or none in time."""
        if ticket != self._generation:
            return
        self._run += 1
        self._recent.append((now_s, False))
        if self.state is BreakerState.HALF_OPEN or self._too_many(now_s):
            self._open_until_s = now_s + self._rng.uniform(self._limits.open_min_s, self._limits.open_max_s)
            self._enter(BreakerState.OPEN)

    def abandoned(self, ticket: int) -> None:
        """The call was given up before anything could be learned from it."""
        if ticket == self._generation and self.state is BreakerState.HALF_OPEN:
            self._probing -= 1

    def _too_many(self, now_s: float) -> bool:
        limits = self._limits
        if self._run >= limits.consecutive_failures:
            return True
        if len(self._recent) < limits.window_calls or self._recent[0][0] < now_s - limits.window_s:
            return False
        failures = sum(not answered for _, answered in self._recent)
        return failures >= limits.window_failure_share * limits.window_calls

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self._generation += 1
        self._run = 0
        self._probing = 0
        self._recent.clear()
