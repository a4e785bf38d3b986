"""What the cache did in a trial: how often it had the answer, how it shielded Postgres, how old its answers were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.records import CacheState
from reports.latency.percentiles import percentile

SHIELDED = (CacheState.HIT, CacheState.STALE, CacheState.NEGATIVE)  # answered without a read of Postgres


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """``hit_ratio``: hits among answered reads. ``shielding``: 1 − reads that went to Postgres / reads.

    ``staleness_*``: for how long, at least, a newer version had been acknowledged to some buyer when the read was
    sent; 0 for a read that was not known to be stale. A sound lower bound: it never accuses a fresh answer.
    """

    reads: int
    by_state: dict[str, int]
    hit_ratio: float | None
    shielding: float | None
    stale_reads: int
    staleness_p50_ms: float | None
    staleness_p99_ms: float | None
    staleness_max_ms: float | None


def cache_figures(bundle: Bundle) -> CacheFigures | None:
    """None if the trial made no product reads."""
    reads = bundle.reads
    if reads.empty:
        return None
    answered = reads[reads["status"] == 200]
    states = answered["cache"].astype(str)
    by_state = {state.value: int((states == state.value).sum()) for state in CacheState}
    count = len(answered)
    shielded = sum(by_state[state.value] for state in SHIELDED)
    staleness = staleness_ms(bundle)
    return CacheFigures(
        reads=len(reads),
        by_state={name: number for name, number in by_state.items() if number},
        hit_ratio=by_state[CacheState.HIT] / count if count else None,
        shielding=shielded / count if count else None,
        stale_reads=int((staleness > 0).sum()),
        staleness_p50_ms=percentile(staleness, 0.5),
        staleness_p99_ms=percentile(staleness, 0.99),
        staleness_max_ms=float(staleness[-1]) if len(staleness) else None,
    )


def staleness_ms(bundle: Bundle) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """One value a read that carries a version, ascending.

    A read of version v is stale since the first answer that acknowledged a later sale (a greater seq) of its SKU.
    """
    reads = bundle.reads[(bundle.reads["status"] == 200) & bundle.reads["version"].notna()]
    sales = bundle.tries[(bundle.tries["outcome"] == "sold") & bundle.tries["seq"].notna()]
    found = []
    for sku, of_sku in reads.groupby("sku", observed=True):
        acknowledged = sales[sales["sku"] == sku]
        seq = acknowledged["seq"].to_numpy(dtype=np.int64)
        returned = acknowledged["returned_ns"].to_numpy(dtype=np.int64)
        order = np.argsort(seq, kind="stable")
        seq = seq[order]
        # The earliest answer that carried this seq or a greater one.
        earliest = np.minimum.accumulate(returned[order][::-1])[::-1]
        place = np.searchsorted(seq, of_sku["version"].to_numpy(dtype=np.int64), side="right")
        known = place < len(seq)
        late = np.zeros(len(of_sku))
        invoked = of_sku["invoked_ns"].to_numpy(dtype=np.int64)
        late[known] = (invoked[known] - earliest[place[known]]) / 1e6
        found.append(np.maximum(late, 0.0))
    return np.sort(np.concatenate(found)) if found else np.empty(0)
