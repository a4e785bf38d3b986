"""How the load generator itself is doing: a generator that lags measures itself, not the target."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

INTERVAL_S = 0.02


@dataclass(frozen=True, slots=True)
class Condition:
    """Lag of the event loop over the load, and the CPU used as a share of one core."""

    loop_lag_p99_ms: float
    loop_lag_max_ms: float
    cpu_share: float


@dataclass(slots=True)
class SelfWatch:
    """Samples the event loop's lag from a greenlet of its own; ``sleep`` and clocks are injected."""

    sleep: Callable[[float], None]
    now_ns: Callable[[], int] = time.monotonic_ns
    cpu_ns: Callable[[], int] = time.process_time_ns
    _lags_ms: array[float] = field(default_factory=lambda: array("f"))
    _began: tuple[int, int] | None = None

    def begin(self) -> None:
        """The load begins: what was before (spawning, waiting at the barrier) does not count."""
        self._lags_ms = array("f")
        self._began = (self.now_ns(), self.cpu_ns())

    def sample(self) -> None:
        """Sleep one interval and note by how much it was overslept."""
        before_ns = self.now_ns()
        self.sleep(INTERVAL_S)
        if self._began is not None:
            self._lags_ms.append(max(0.0, (self.now_ns() - before_ns) / 1e6 - INTERVAL_S * 1e3))

    def condition(self) -> Condition:
        """What was seen since ``begin``."""
        if self._began is None:
            return Condition(0.0, 0.0, 0.0)
        began_ns, cpu_before_ns = self._began
        share = (self.cpu_ns() - cpu_before_ns) / max(1, self.now_ns() - began_ns)
        lags = sorted(self._lags_ms)
        if not lags:
            return Condition(0.0, 0.0, share)
        return Condition(lags[math.ceil(0.99 * len(lags)) - 1], lags[-1], share)
