"""How many purchases of one SKU were in flight at once: without overlap a sale puts no strategy to the test."""

from __future__ import annotations

import numpy as np

from reports.checks.history import SOLD, History, Ints


def most_in_flight(history: History) -> int:
    """The most tries of one SKU that the load had in flight at once while it still had stock.

    A SKU has stock until the last ``sold`` answer, the drain's included. Equal stamps count as overlapping.
    """
    tries = history.tries
    sold = tries.outcome == SOLD
    last_sold_ns = np.full(len(history.skus), np.iinfo(np.int64).min)
    np.maximum.at(last_sold_ns, tries.sku[sold], tries.returned_ns[sold])
    counted = np.flatnonzero(~tries.in_drain & (tries.invoked_ns <= last_sold_ns[tries.sku]))
    if not len(counted):
        return 0
    counted = counted[np.argsort(tries.sku[counted], kind="stable")]
    cuts = np.flatnonzero(np.diff(tries.sku[counted])) + 1
    return max(most_at_once(tries.invoked_ns[part], tries.returned_ns[part]) for part in np.split(counted, cuts))


def most_at_once(starts_ns: Ints, ends_ns: Ints) -> int:
    """The most of these closed intervals that share a moment; an end of NEVER is after everything."""
    starts = np.sort(starts_ns)
    ended_before = np.searchsorted(np.sort(ends_ns), starts, side="left")
    return int((np.arange(1, len(starts) + 1) - ended_before).max())
