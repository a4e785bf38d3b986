"""May the figures be believed? A generator that is late measures itself, and some disks measure nothing."""

from __future__ import annotations

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import DRAIN_WORKER
from reports.checks.history import History

# The limits, in one place. They are what a person would still call "on time" beside the hundreds of milliseconds that
# a contended purchase takes: a generator beyond them adds a good part of what it reports.
LOOP_LAG_P99_LIMIT_MS = 250.0  # how late a worker's event loop came back from a sleep
START_LAG_P99_LIMIT_MS = 500.0  # how late first tries were sent, against the schedule

MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})


def invalid_reasons(bundle: Bundle, history: History) -> list[str]:
    """Why latency and throughput of this trial mean nothing, one sentence each; empty if they may be believed."""
    found = [
        f"load worker {closing.worker} was overloaded: its event loop was {closing.loop_lag_p99_ms:.0f} ms late"
        f" (p99, limit {LOOP_LAG_P99_LIMIT_MS:.0f} ms, {closing.cpu_share:.0%} of a core used)"
        for closing in bundle.trial.closings
        if closing.worker != DRAIN_WORKER and closing.loop_lag_p99_ms > LOOP_LAG_P99_LIMIT_MS
    ]
    lag_ms = start_lag_p99_ms(history)
    if lag_ms is not None and lag_ms > START_LAG_P99_LIMIT_MS:
        found.append(
            f"purchases were sent {lag_ms:.0f} ms after they were due (p99, limit {START_LAG_P99_LIMIT_MS:.0f} ms):"
            " the load generator was overloaded"
        )
    if _in_memory(bundle):
        found.append("the database was on a filesystem in memory, which hides what a commit costs")
    return found


def start_lag_p99_ms(history: History) -> float | None:
    """How late the load's first tries were sent; None if there were none."""
    tries = history.tries
    first = ~tries.in_drain & (tries.number == 0)
    if not first.any():
        return None
    return float(np.quantile(tries.invoked_ns[first] - tries.intended_ns[first], 0.99)) / 1e6


def _in_memory(bundle: Bundle) -> bool:
    """Whether the harness's own Postgres kept its data in memory; of a given one the scratch folder says nothing."""
    postgres = bundle.trial.fingerprint.get("work", {}).get("postgres")
    given = isinstance(postgres, dict) and postgres.get("origin") == "given"
    filesystem = bundle.trial.fingerprint.get("machine", {}).get("scratch_filesystem")
    return not given and filesystem in MEMORY_FILESYSTEMS
