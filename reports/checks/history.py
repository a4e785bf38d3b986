"""A trial's evidence in the shape that the checks ask of it: tries, purchases by key, ledger and stores, as arrays.

A purchase is one idempotency key. It is ``sold`` if any try sold, else ``unknown`` if any try is unknown, else what the
last answer said; it was invoked with its earliest try, and returned with its earliest ``sold`` answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import (
    DRAIN_WORKER,
    StockSnapshot,
    StoreReading,
    TrialDocument,
    lasting_faults,
)
from flashbench.evidence.records import OUTCOME_CODE
from flashbench.vocabulary import Outcome

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

SOLD, SOLD_OUT, LIMITED, FAILED, UNKNOWN = (OUTCOME_CODE[outcome] for outcome in Outcome)
NEVER = np.iinfo(np.int64).max  # the return of a try that has none
NOBODY: Positions = np.empty(0, np.intp)
NULL = np.iinfo(np.int64).min  # an absent integer


@dataclass(frozen=True, slots=True)
class Tries:
    """One entry per try. ``key`` and ``sku`` number the purchases and the sale's SKUs; absent integers are NULL."""

    key: Positions
    sku: Ints
    user: npt.NDArray[np.uint64]
    quantity: Ints
    outcome: Ints
    number: Ints
    intended_ns: Ints
    invoked_ns: Ints
    returned_ns: Ints
    remaining: Ints
    seq: Ints
    in_drain: Bools

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True, slots=True)
class Purchases:
    """One entry per idempotency key. ``first`` and ``decisive`` are positions of tries.

    The decisive try is the earliest that sold, else the last. ``returned_ns`` is its return. ``effective_ns``: when the
    first try was sent that can have had an effect, since a ``failed`` one has none; if there is none, the first.
    """

    first: Positions
    decisive: Positions
    sku: Ints
    user: npt.NDArray[np.uint64]
    quantity: Ints
    outcome: Ints
    invoked_ns: Ints
    effective_ns: Ints
    returned_ns: Ints
    in_drain: Bools

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One entry per order. ``sku`` and ``purchase`` are -1 where the sale, or the clients, know of no such thing.

    ``as_asked``: SKU, quantity and user are those of the purchase.
    """

    sku: Ints
    quantity: Ints
    purchase: Positions
    as_asked: Bools
    remaining: Ints
    seq: Ints
    fence: Ints

    def __len__(self) -> int:
        return len(self.sku)


@dataclass(frozen=True)
class History:
    """All that the checks may look at. Frames are for showing offenders; arrays for finding them.

    ``tries_whole``, ``reads_whole``, ``ledger_whole``: no row can be missing. ``at_rest``: the stores were
    read after everything had ended. ``lasting``: faults that had not been healed when the drain began.
    """

    trial: TrialDocument
    try_frame: pd.DataFrame
    read_frame: pd.DataFrame
    ledger_frame: pd.DataFrame | None
    snapshots: tuple[StockSnapshot, ...]
    tries_whole: bool
    reads_whole: bool
    ledger_whole: bool
    lasting: tuple[str, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle) -> History:
        """The history that a bundle's evidence tells."""
        return cls(
            trial=bundle.trial,
            try_frame=bundle.tries,
            read_frame=bundle.reads,
            ledger_frame=bundle.ledger,
            snapshots=bundle.stock.snapshots if bundle.stock else (),
            tries_whole=bundle.tries_whole,
            reads_whole=bundle.reads_whole,
            ledger_whole=bundle.ledger_whole,
            lasting=lasting_faults(bundle.faults),
        )

    @property
    def whole(self) -> bool:
        """No try and no order can be missing."""
        return self.tries_whole and self.ledger_whole

    @property
    def at_rest(self) -> bool:
        return self.trial.quiescence is not None and self.trial.quiescence.reached

    def since_release_ms(self, moment_ns: int) -> float:
        """As a person reads it: since the load was released, or the sale opened if it never was."""
        moments = self.trial.moments
        origin_ns = moments.opened_ns if moments.released_ns is None else moments.released_ns
        return round((moment_ns - origin_ns) / 1e6, 3)

    @property
    def store(self) -> str:
        """Who says what remains: a database that the harness read, or the target itself."""
        return "the target" if self.trial.ledger_source == "target" else "Postgres"

    @cached_property
    def skus(self) -> tuple[str, ...]:
        return tuple(item.sku for item in self.trial.sale.items)

    @cached_property
    def initial(self) -> Ints:
        """Units on sale, per SKU."""
        return np.array([item.stock for item in self.trial.sale.items], np.int64)

    @cached_property
    def tries(self) -> Tries:
        frame = self.try_frame
        return Tries(
            key=self._key_codes[0],
            sku=frame["sku"].cat.codes.to_numpy().astype(np.int64),
            user=frame["user"].to_numpy(np.uint64),
            quantity=frame["quantity"].to_numpy(np.int64),
            outcome=frame["outcome"].cat.codes.to_numpy().astype(np.int64),
            number=frame["try_number"].to_numpy(np.int64),
            intended_ns=frame["intended_ns"].to_numpy(np.int64),
            invoked_ns=frame["invoked_ns"].to_numpy(np.int64),
            returned_ns=integers(frame["returned_ns"], absent=NEVER),
            remaining=integers(frame["remaining"]),
            seq=integers(frame["seq"]),
            in_drain=(frame["worker"] == DRAIN_WORKER).to_numpy(bool),
        )

    @cached_property
    def purchases(self) -> Purchases:
        tries, count = self.tries, len(self._key_codes[1])
        sold, unknown = np.zeros(count, bool), np.zeros(count, bool)
        sold[tries.key[tries.outcome == SOLD]] = True
        unknown[tries.key[tries.outcome == UNKNOWN]] = True
        # By key, then by answer; the earliest sold answer comes out first, any other last.
        answered_ns = np.where(tries.returned_ns == NEVER, tries.invoked_ns, tries.returned_ns)
        order = np.lexsort((tries.number, answered_ns, tries.key))
        decisive = np.zeros(count, np.intp)
        decisive[tries.key[order]] = order  # the last one written stays
        backwards = order[::-1]
        sales = backwards[tries.outcome[backwards] == SOLD]
        decisive[tries.key[sales]] = sales
        first = np.zeros(count, np.intp)
        by_invocation = np.lexsort((tries.number, tries.invoked_ns))[::-1]
        first[tries.key[by_invocation]] = by_invocation
        outcome = np.where(sold, SOLD, np.where(unknown, UNKNOWN, tries.outcome[decisive]))
        effective_ns = np.full(count, NEVER)
        can = (tries.outcome == SOLD) | (tries.outcome == UNKNOWN)
        np.minimum.at(effective_ns, tries.key[can], tries.invoked_ns[can])
        return Purchases(
            first=first,
            decisive=decisive,
            sku=tries.sku[first],
            user=tries.user[first],
            quantity=tries.quantity[first],
            outcome=outcome,
            invoked_ns=tries.invoked_ns[first],
            effective_ns=np.where(effective_ns == NEVER, tries.invoked_ns[first], effective_ns),
            returned_ns=tries.returned_ns[decisive],
            in_drain=tries.in_drain[first],
        )

    @cached_property
    def ledger(self) -> Ledger | None:
        frame = self.ledger_frame
        if frame is None:
            return None
        sku = pd.Index(self.skus).get_indexer(pd.Index(frame["sku"])).astype(np.int64)
        found = pc.index_in(_arrow(frame["key"]), value_set=self._key_codes[1])
        purchase = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
        quantity = frame["quantity"].to_numpy(np.int64)
        as_asked = np.zeros(len(frame), bool)
        known = np.flatnonzero(purchase >= 0)
        asked = purchase[known]
        purchases = self.purchases
        stated = _arrow(frame["user_id"]).take(pa.array(known))
        users = pc.or_(
            pc.equal(stated, _arrow(self.try_frame["user_id"]).take(pa.array(purchases.first[asked]))),
            pc.equal(stated, ""),
        )
        as_asked[known] = (
            (purchases.sku[asked] == sku[known])
            & (purchases.quantity[asked] == quantity[known])
            & users.to_numpy(zero_copy_only=False)
        )
        return Ledger(
            sku=sku,
            quantity=quantity,
            purchase=purchase,
            as_asked=as_asked,
            remaining=integers(frame["remaining"]),
            seq=integers(frame["seq"]),
            fence=integers(frame["fence"]),
        )

    @cached_property
    def mixed_up(self) -> Positions:
        """Tries whose key belongs to another purchase: the harness's own mistake, or records of two trials."""
        tries, purchases = self.tries, self.purchases
        attempt = self.try_frame["attempt"].to_numpy(np.uint64)
        worker = self.try_frame["worker"].cat.codes.to_numpy()
        first = purchases.first[tries.key]
        same = (
            (tries.sku == tries.sku[first])
            & (tries.user == tries.user[first])
            & (tries.quantity == tries.quantity[first])
            & (attempt == attempt[first])
            & (worker == worker[first])
        )
        return np.flatnonzero(~same)

    @cached_property
    def acknowledged(self) -> Ints:
        """Units that buyers were told they had, per SKU."""
        return self._units(self.purchases.outcome == SOLD)

    @cached_property
    def unknown(self) -> Ints:
        """Units of purchases of which nobody was told whether they happened, per SKU."""
        return self._units(self.purchases.outcome == UNKNOWN)

    @cached_property
    def ordered(self) -> Ints | None:
        """Units in the ledger, per SKU; None without a ledger."""
        if self.ledger is None:
            return None
        known = self.ledger.sku >= 0
        return units_by(self.ledger.sku[known], self.ledger.quantity[known], len(self.skus))

    @cached_property
    def final(self) -> dict[str, StoreReading]:
        """The last reading of each SKU: the harness's own, else the target's. A store that was not read is empty."""
        for source in ("stores", "target"):
            own = [snapshot for snapshot in self.snapshots if snapshot.source == source]
            if own:
                return {reading.sku: reading for reading in own[-1].items}
        return {}

    @cached_property
    def _key_codes(self) -> tuple[Positions, pa.Array]:
        """The number of each try's key, and the keys by number."""
        encoded = _arrow(self.try_frame["key"]).dictionary_encode()
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp), encoded.dictionary

    def _units(self, which: Bools) -> Ints:
        return units_by(self.purchases.sku[which], self.purchases.quantity[which], len(self.skus))


def units_by(group: Ints, quantity: Ints, groups: int) -> Ints:
    """Sums of ``quantity`` per group. A sum of absurd quantities is inexact or cut, but never wraps to a small one."""
    sums = np.bincount(group, weights=quantity, minlength=groups)
    return np.clip(sums, -(2.0**62), 2.0**62).astype(np.int64)


def integers(column: pd.Series, absent: int = NULL) -> Ints:
    """A nullable column as plain integers."""
    return column.to_numpy(dtype=np.int64, na_value=absent)


def _arrow(column: pd.Series) -> pa.Array:
    array = pa.array(column, type=pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
