"""Waiting until the system under test has come to rest, so that what is read of it is its final state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from flashbench.evidence.documents import Quiescence, StoreReading
from flashbench.trial.drain import Clock

POLL_S = 0.1
MARGIN_S = 0.2  # by which the two snapshots are further apart than the longest timer


class Probe(Protocol):
    """How to look at a system without disturbing it."""

    def moving(self) -> Sequence[str]:
        """What is still going on, in words; empty when nothing is."""

    def snapshot(self) -> tuple[StoreReading, ...]:
        """Every SKU as the stores have it now."""


def wait_until_still(
    probe: Probe,
    longest_timer_s: float,
    limit_s: float,
    *,
    clock: Clock | None = None,
    hurry: Callable[[], bool] = lambda: False,
) -> Quiescence:
    """Wait for two identical snapshots further apart than the longest timer, with nothing moving at or between them."""
    clock = clock or Clock()
    apart_s = longest_timer_s + MARGIN_S
    began_ns = clock.now_ns()
    first: tuple[int, tuple[StoreReading, ...]] | None = None
    reason = "it was never looked at"
    while True:
        asked_ns = clock.now_ns()
        waited_s = (asked_ns - began_ns) / 1e9
        moving = list(probe.moving())
        seen = None if moving else probe.snapshot()
        if seen is None:
            first, reason = None, "; ".join(moving)
        elif first is None or seen != first[1]:
            reason = "the stores changed less than a timer's length ago"
            first = (clock.now_ns(), seen)
        elif (asked_ns - first[0]) / 1e9 > apart_s:
            return Quiescence(reached=True, waited_s=waited_s, snapshots_apart_s=(asked_ns - first[0]) / 1e9)
        if hurry():
            return Quiescence(reached=False, waited_s=waited_s, snapshots_apart_s=0.0, reason="interrupted")
        if waited_s > limit_s:
            return Quiescence(reached=False, waited_s=waited_s, snapshots_apart_s=0.0, reason=reason)
        clock.sleep(POLL_S)


def wait_until_idle(
    moving: Callable[[], Sequence[str]], limit_s: float, *, clock: Clock | None = None
) -> Sequence[str]:
    """Wait until nothing moves, at most ``limit_s``; what was still moving then, empty if nothing."""
    clock = clock or Clock()
    until_ns = clock.now_ns() + int(limit_s * 1e9)
    while (left := moving()) and clock.now_ns() < until_ns:
        clock.sleep(POLL_S)
    return left
