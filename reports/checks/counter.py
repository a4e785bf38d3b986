"""A trial's evidence as the history of a counter per SKU, as the linearizability checkers take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reports.checks.history import NEVER as UNANSWERED
from reports.checks.history import NULL, SOLD, SOLD_OUT, UNKNOWN, Bools, History, Ints
from reports.linearizability import NEVER, UNSTATED, Kind, Operations
from reports.linearizability.operations import ALWAYS, Positions

assert (UNSTATED, NEVER) == (NULL, UNANSWERED)  # columns go over as they are


@dataclass(frozen=True, slots=True)
class Counted:
    """One SKU's history. ``tries`` and ``rows`` are where each operation comes from, -1 where from neither."""

    sku: int
    operations: Operations
    tries: Positions
    rows: Positions


@dataclass(frozen=True, slots=True)
class _Part:
    """Operations of one kind, before they are sorted by SKU."""

    kind: Kind
    sku: Ints
    invoked: Ints
    returned: Ints
    quantity: Ints
    remaining: Ints
    seq: Ints
    tries: Positions
    rows: Positions


def resolvable(history: History) -> bool:
    """Whether the ledger settles what became of purchases of which no client knows."""
    return history.ledger is not None and history.ledger_whole and history.at_rest


def sequenced(history: History) -> bool:
    """Whether the ledger states an order of all its orders, and holds all that buyers were told of."""
    ledger, purchases = history.ledger, history.purchases
    if ledger is None or not resolvable(history) or (ledger.seq == NULL).any():
        return False
    ordered = np.zeros(len(purchases), bool)
    ordered[ledger.purchase[ledger.purchase >= 0]] = True
    return bool(ordered[purchases.outcome == SOLD].all())


def counters(history: History, *, reads: bool) -> Iterator[Counted]:
    """What clients saw, SKU by SKU; unknown purchases resolved by the ledger where that can be.

    ``reads``: with what the stores said after the drain.
    """
    parts = [_acknowledged(history), _refused(history)]
    if resolvable(history):
        parts.append(_orders(history, _beyond_acknowledged(history)))
    else:
        parts.append(_unknown(history))
    if reads:
        parts.append(_readings(history))
    yield from _by_sku(history, parts)


def witnessed_counters(history: History) -> Iterator[Counted]:
    """The ledger's orders with their ``seq``, as their clients saw them, beside refusals and readings, SKU by SKU."""
    assert history.ledger is not None
    everything = np.arange(len(history.ledger))
    yield from _by_sku(history, [_orders(history, everything), _refused(history), _readings(history)])


def _acknowledged(history: History) -> _Part:
    purchases, tries = history.purchases, history.tries
    sold = np.flatnonzero(purchases.outcome == SOLD)
    decisive = purchases.decisive[sold]
    return _Part(
        Kind.SALE,
        purchases.sku[sold],
        purchases.effective_ns[sold],
        purchases.returned_ns[sold],
        purchases.quantity[sold],
        tries.remaining[decisive],
        tries.seq[decisive],
        decisive,
        _none(len(sold)),
    )


def _unknown(history: History) -> _Part:
    purchases = history.purchases
    unknown = np.flatnonzero(purchases.outcome == UNKNOWN)
    nothing = np.full(len(unknown), UNSTATED)
    return _Part(
        Kind.UNKNOWN,
        purchases.sku[unknown],
        purchases.effective_ns[unknown],
        np.full(len(unknown), NEVER),
        purchases.quantity[unknown],
        nothing,
        nothing,
        purchases.decisive[unknown],
        _none(len(unknown)),
    )


def _refused(history: History) -> _Part:
    """Every refusal counts, also one whose key sold in another try."""
    tries = history.tries
    refused = np.flatnonzero(tries.outcome == SOLD_OUT)
    nothing = np.full(len(refused), UNSTATED)
    return _Part(
        Kind.REFUSAL,
        tries.sku[refused],
        tries.invoked_ns[refused],
        tries.returned_ns[refused],
        tries.quantity[refused],
        nothing,
        nothing,
        refused,
        _none(len(refused)),
    )


def _orders(history: History, rows: Positions) -> _Part:
    """Rows of the ledger as sales; only the one that a buyer was told of has a return."""
    ledger, purchases = history.ledger, history.purchases
    assert ledger is not None
    rows = rows[(ledger.sku[rows] >= 0) & (ledger.quantity[rows] > 0)]
    purchase = ledger.purchase[rows]
    acknowledged = _acknowledged_rows(history)[rows]
    returned_ns = _of_purchases(purchases.returned_ns, purchase, NEVER)
    return _Part(
        Kind.SALE,
        ledger.sku[rows],
        _of_purchases(purchases.effective_ns, purchase, ALWAYS),
        np.where(acknowledged, returned_ns, NEVER),
        ledger.quantity[rows],
        ledger.remaining[rows],
        ledger.seq[rows],
        _of_purchases(purchases.decisive, purchase, -1),
        rows,
    )


def _beyond_acknowledged(history: History) -> Positions:
    """Orders that no buyer was told of, or that came on top of the one that he was told of."""
    return np.flatnonzero(~_acknowledged_rows(history))


def _acknowledged_rows(history: History) -> Bools:
    """Of each purchase that sold one row: with the order_id of the answer if there is one, and as was asked for."""
    ledger, purchases = history.ledger, history.purchases
    assert ledger is not None
    assert history.ledger_frame is not None
    sold = np.flatnonzero(_of_purchases(purchases.outcome, ledger.purchase, UNKNOWN) == SOLD)
    decisive = purchases.decisive[ledger.purchase[sold]]
    answered = history.try_frame["order_id"].iloc[decisive].to_numpy(object)
    other = history.ledger_frame["order_id"].iloc[sold].to_numpy(object) != answered
    order = np.lexsort((sold, ledger.quantity[sold], ~ledger.as_asked[sold], other, ledger.purchase[sold]))
    _, first = np.unique(ledger.purchase[sold][order], return_index=True)
    told = np.zeros(len(ledger), bool)
    told[sold[order[first]]] = True
    return told


def _of_purchases(values: Ints, purchase: Positions, absent: int) -> Ints:
    """A purchase's value for each order, ``absent`` for orders that no purchase is known of."""
    found = np.full(len(purchase), absent, values.dtype)
    known = purchase >= 0
    found[known] = values[purchase[known]]
    return found


def _readings(history: History) -> _Part:
    """What Postgres held when all had come to rest, if it did; when exactly after the drain is not recorded."""
    ended_ns, read_ns = history.trial.moments.drain_ended_ns, history.trial.moments.collected_ns
    found = [
        (number, remaining)
        for number, sku in enumerate(history.skus)
        if history.at_rest and sku in history.final
        if (remaining := history.final[sku].postgres_remaining) is not None
    ]
    if ended_ns is None or read_ns is None or read_ns < ended_ns:
        found = []
    table = np.array(found, np.int64).reshape(-1, 2)
    size = len(table)
    return _Part(
        Kind.READ,
        table[:, 0],
        np.full(size, ended_ns or 0),
        np.full(size, read_ns or 0),
        np.ones(size, np.int64),
        table[:, 1],
        np.full(size, UNSTATED),
        _none(size),
        _none(size),
    )


def _by_sku(history: History, parts: list[_Part]) -> Iterator[Counted]:
    kind = np.concatenate([np.full(len(part.sku), part.kind, np.int8) for part in parts])
    sku, invoked, returned, quantity, remaining, seq, tries, rows = (
        np.concatenate([getattr(part, column) for part in parts])
        for column in ("sku", "invoked", "returned", "quantity", "remaining", "seq", "tries", "rows")
    )
    order = np.argsort(sku, kind="stable")
    cuts = np.searchsorted(sku[order], np.arange(len(history.skus) + 1))
    for number in range(len(history.skus)):
        own = order[cuts[number] : cuts[number + 1]]
        operations = Operations(
            int(history.initial[number]),
            kind[own],
            invoked[own],
            returned[own],
            quantity[own],
            remaining[own],
            seq[own],
        )
        yield Counted(number, operations, tries[own], rows[own])


def _none(size: int) -> Positions:
    return np.full(size, -1, np.intp)
