"""How hard the stock was fought for: without overlap a sale puts no strategy to the test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.checks.history import SOLD, History, Ints


def contention(history: History, telemetry: pd.DataFrame | None) -> str:
    """Peak in flight, demand against stock, the spread of arrivals while stock lasted, and waits for locks."""
    purchases = history.purchases
    load = ~purchases.in_drain
    stock = int(history.initial.sum())
    parts = [f"at most {most_in_flight(history)} purchases of one SKU in flight at once while stock lasted"]
    if stock and load.any():
        wanted = int(purchases.quantity[load].sum())
        parts.append(f"{wanted:,} units asked for of {stock:,} ({wanted / stock:.1f} times the stock)")
    spread_s = _spread_s(history)
    if spread_s is not None:
        parts.append(f"those who came while stock lasted came within {spread_s:.2f} s")
    waits = _most_lock_waits(telemetry)
    if waits is not None:
        parts.append(f"at most {waits} sessions waiting for a lock in Postgres")
    return "contention: " + "; ".join(parts)


def _spread_s(history: History) -> float | None:
    """From the first to the last purchase of the load that was sent before the last unit was sold."""
    purchases = history.purchases
    sold = purchases.outcome == SOLD
    if not (sold & ~purchases.in_drain).any():
        return None
    lasted_until_ns = purchases.returned_ns[sold & ~purchases.in_drain].max()
    came_ns = purchases.invoked_ns[~purchases.in_drain & (purchases.invoked_ns <= lasted_until_ns)]
    return float(came_ns.max() - came_ns.min()) / 1e9


def _most_lock_waits(telemetry: pd.DataFrame | None) -> int | None:
    if telemetry is None:
        return None
    seen = telemetry[(telemetry["source"] == "postgres") & (telemetry["metric"] == "waiting_for_a_lock")]["value"]
    return int(seen.max()) if len(seen) else None


def most_in_flight(history: History) -> int:
    """The most purchases of one SKU that the load had in flight at once while it still had stock.

    A SKU has stock until the last ``sold`` answer, the drain's included. Equal stamps count as overlapping. Twins are
    one purchase: they fight for its key, not for the stock.
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
    return max(
        most_at_once(*joined(tries.key[part], tries.invoked_ns[part], tries.returned_ns[part]))
        for part in np.split(counted, cuts)
    )


def joined(keys: Ints, starts_ns: Ints, ends_ns: Ints) -> tuple[Ints, Ints]:
    """Starts and ends of the same intervals, where those of one key that overlap are one."""
    order = np.lexsort((starts_ns, keys))
    keys, starts_ns = keys[order], starts_ns[order]
    until_ns = pd.Series(ends_ns[order]).groupby(keys).cummax().to_numpy()
    opens = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (starts_ns[1:] > until_ns[:-1])])
    return starts_ns[opens], until_ns[np.r_[opens[1:] - 1, len(keys) - 1]]


def most_at_once(starts_ns: Ints, ends_ns: Ints) -> int:
    """The most of these closed intervals that share a moment; an end of NEVER is after everything."""
    starts = np.sort(starts_ns)
    ended_before = np.searchsorted(np.sort(ends_ns), starts, side="left")
    return int((np.arange(1, len(starts) + 1) - ended_before).max())
