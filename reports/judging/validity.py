"""May the figures be believed? A generator that is late measures itself, and some disks measure nothing."""

from __future__ import annotations

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import DRAIN_WORKER
from reports.checks.history import NEVER, History

# The limits, in one place: a generator may be late by this much, or by this share of what purchases take (p99, from
# sent to answered), whichever is more. A lag within it can't change which figure is the better one.
LAG_ALWAYS_ALLOWED_MS = 100.0
LAG_ALLOWED_SHARE = 0.25

MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})


def invalid_reasons(bundle: Bundle, history: History) -> list[str]:
    """Why latency and throughput of this trial mean nothing, one sentence each; empty if they may be believed.

    Of a trial that did not have the machine for itself no figures are shown, so none can be wrong.
    """
    if not bundle.trial.alone:
        return []  # there are no figures to be believed
    allowed_ms = allowed_lag_ms(history)
    found = [
        f"load worker {closing.worker} was overloaded: its event loop was {closing.loop_lag_p99_ms:.0f} ms late"
        f" (p99, limit {allowed_ms:.0f} ms, {closing.cpu_share:.0%} of a core used)"
        for closing in bundle.trial.closings
        if closing.worker != DRAIN_WORKER and closing.loop_lag_p99_ms > allowed_ms
    ]
    found += [
        f"load worker {closing.worker} ran out of sockets or ports: {closing.unsent} of its requests never left"
        " (raise ulimit -n, widen net.ipv4.ip_local_port_range, or use more machines)"
        for closing in bundle.trial.closings
        if closing.unsent
    ]
    lag_ms = start_lag_p99_ms(history)
    if lag_ms is not None and lag_ms > allowed_ms:
        found.append(
            f"the load generator was overloaded: purchases were sent {lag_ms:.0f} ms after they were due"
            f" (p99, limit {allowed_ms:.0f} ms)"
        )
    if _in_memory(bundle):
        found.append(
            "the database was on a filesystem in memory, which hides what a commit costs: set TMPDIR to one on a disk"
        )
    return found


def allowed_lag_ms(history: History) -> float:
    """How late the generator may be, given what the load's purchases took.

    A late event loop stamps answers late as well, so by its own fault it is allowed a third of the true times at most.
    """
    tries = history.tries
    answered = ~tries.in_drain & (tries.returned_ns != NEVER)
    if not answered.any():
        return LAG_ALWAYS_ALLOWED_MS
    took_ms = float(np.quantile(tries.returned_ns[answered] - tries.invoked_ns[answered], 0.99)) / 1e6
    return max(LAG_ALWAYS_ALLOWED_MS, LAG_ALLOWED_SHARE * took_ms)


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
