"""What the linearizability checkers cost, from a hundred thousand attempts to ten million."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.cost.checks_probe import CASES
from flashbench.services.unprivileged import dies_with_parent

MOST_SECONDS = {"A, stated": 30.0, "A, silent": 30.0, "B": 30.0, "C": 60.0}  # for ten million attempts
MOST_GIB = 3.0


@dataclass(frozen=True, slots=True)
class CheckCost:
    """One checker on a history of one size, on one core."""

    case: str
    attempts: int
    seconds: float
    peak_gib: float

    @property
    def attempts_per_s(self) -> float:
        return self.attempts / self.seconds

    @property
    def us_per_attempt(self) -> float:
        return 1e6 * self.seconds / self.attempts

    @property
    def met(self) -> bool:
        """Within the limits for ten million attempts."""
        return self.seconds <= MOST_SECONDS[self.case] and self.peak_gib <= MOST_GIB


def measure_checks(sizes: Sequence[int], progress: Callable[[str], None]) -> list[CheckCost]:
    """Every checker at every size, one after the other, each in a process of its own."""
    found = []
    for case in CASES:
        for attempts in sizes:
            progress(f"{case}: {attempts:,} attempts")
            found.append(_measure(case, attempts))
    return found


def _measure(case: str, attempts: int) -> CheckCost:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cost.checks_probe", case, str(attempts)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=dies_with_parent(),
    )
    if done.returncode:
        raise RuntimeError(f"checking {attempts:,} attempts ended with {done.returncode}:\n{done.stderr}")
    return CheckCost(case, attempts, **json.loads(done.stdout))
