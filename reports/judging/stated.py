"""Does the target say of itself what the harness read in its stores?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import StockSnapshot

COMPARED = ["order_id", "sku", "quantity", "user_id", "key", "remaining", "seq", "fence"]
_COUNTS = ("initial", "sold", "postgres_remaining", "redis_remaining", "redis_held")


def differences(bundle: Bundle) -> list[str]:
    """What the target states differently, one sentence each; nothing to compare with is a difference too."""
    if bundle.trial.ledger_source != "postgres":
        return []
    return [*_ledger_differences(bundle.ledger, bundle.stated_ledger), *_stock_differences(bundle)]


def _ledger_differences(own: pd.DataFrame | None, stated: pd.DataFrame | None) -> list[str]:
    if own is None:
        return []
    if stated is None:
        return ["the ledger that the target states is missing, so it can't be compared with the one read from Postgres"]
    if len(own) != len(stated):
        return [f"the target states {len(stated)} orders, {len(own)} were read from Postgres"]
    if own[COMPARED].equals(stated[COMPARED]):
        return []
    ours, theirs = _fingerprints(own), _fingerprints(stated)
    missing = len(own) - int(np.isin(ours, theirs).sum())
    if missing or not np.array_equal(ours, theirs):
        return [f"of {len(own)} orders read from Postgres, the target states {max(missing, 1)} differently"]
    return []


def _fingerprints(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A hash of each row, sorted: equal where the rows are the same in any order."""
    return np.sort(pd.util.hash_pandas_object(rows[COMPARED], index=False).to_numpy(np.uint64))


def _stock_differences(bundle: Bundle) -> list[str]:
    if bundle.stock is None:
        return []
    own, stated = _last(bundle, "stores"), _last(bundle, "target")
    if own is None:
        return ["the stock was not read from the stores"]
    if stated is None:
        return ["the stock that the target states is missing, so it can't be compared with what the stores hold"]
    theirs = {reading.sku: reading for reading in stated.items}
    for ours in own.items:
        said = theirs.get(ours.sku)
        if said is None:
            return [f"the target states no stock for {ours.sku}"]
        for name in _COUNTS:
            read, claimed = getattr(ours, name), getattr(said, name)
            if read is not None and read != claimed:
                return [f"the target states {name.replace('_', ' ')} {claimed} for {ours.sku}, the stores hold {read}"]
    return []


def _last(bundle: Bundle, source: str) -> StockSnapshot | None:
    snapshots = bundle.stock.snapshots if bundle.stock else ()
    own = [snapshot for snapshot in snapshots if snapshot.source == source]
    return own[-1] if own else None
