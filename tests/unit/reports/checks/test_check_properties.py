"""Random sales: an honest one is never accused, missing tries accuse nobody, and the order of rows means nothing.

A false FAIL sends an engineer after a defect that is not there; a false PASS hides one that is.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from flashbench.evidence.documents import DRAIN_WORKER, SaleItem, StoreReading, VerdictDocument
from flashbench.evidence.records import TryRecord
from flashbench.target.protocol import LedgerRow
from flashbench.vocabulary import Outcome, Verdict
from reports.judging.trial import judge
from tests.bundles import DRAIN_FIRST_USER, MS, OPENED_NS, BundleBuilder, Placed

MAY_FAIL_INCOMPLETE = {"I1", "I5", "I9", "I11"}
SEEDS = st.integers(0, 2**32)


@dataclass
class Shape:
    """What a random sale looks like."""

    skus: int
    limit: int
    attempts: int
    quantities: tuple[int, ...]


class Target:
    """A correct target with bad connections: it decides at a random moment while a request is under way."""

    def __init__(self, chance: random.Random, shape: Shape) -> None:
        self.remaining = [chance.randrange(0, 9) for _ in range(shape.skus)]
        self.initial = list(self.remaining)
        self.limit = shape.limit
        self.orders: dict[bytes, LedgerRow] = {}
        self.bought: dict[int, int] = {}
        self.seq = [0] * shape.skus

    def decide(self, ask: TryRecord) -> TryRecord:
        """The honest answer to one request, at this moment."""
        row = self.orders.get(ask.key)
        if row is None:
            if self.limit and self.bought.get(ask.user, 0) + ask.quantity > self.limit:
                return replace(ask, outcome=Outcome.LIMITED, status=409)
            if self.remaining[ask.sku] < ask.quantity:
                return replace(ask, outcome=Outcome.SOLD_OUT, status=409)
            row = self._sell(ask)
            status, replayed = 201, False
        else:
            status, replayed = 200, True
        facts = replace(ask, order_id=row.order_id, remaining=row.remaining, seq=row.seq)
        return replace(facts, outcome=Outcome.SOLD, status=status, replayed=replayed)

    def _sell(self, ask: TryRecord) -> LedgerRow:
        self.remaining[ask.sku] -= ask.quantity
        self.seq[ask.sku] += 1
        self.bought[ask.user] = self.bought.get(ask.user, 0) + ask.quantity
        row = LedgerRow(
            order_id=f"order-{len(self.orders)}",
            sku=f"sku-{ask.sku + 1}",
            quantity=ask.quantity,
            user_id=f"u{ask.user}",
            key=ask.key.hex(),
            remaining=self.remaining[ask.sku],
            seq=self.seq[ask.sku],
            fence=self.seq[ask.sku] * 3,
            created_unix_us=None,
        )
        self.orders[ask.key] = row
        return row


def random_sale(folder: Path, seed: int) -> BundleBuilder:
    """An honest sale: requests and answers get lost, some are retried or sent twice, then the drain."""
    chance = random.Random(seed)
    shape = Shape(
        skus=chance.choice((1, 1, 2, 3)),
        limit=chance.choice((0, 0, 2, 3)),
        attempts=chance.randrange(4, 60),
        quantities=chance.choice(((1,), (1, 1, 2), (2,))),
    )
    target = Target(chance, shape)
    asks: list[tuple[int, str, TryRecord, str]] = []  # moment of the decision, worker, request, what befalls it
    for attempt in range(shape.attempts):
        asks += _requests(chance, shape, attempt)
    tries = [
        Placed(worker, _answer(target, ask, fate)) for _, worker, ask, fate in sorted(asks, key=lambda each: each[0])
    ]
    chance.shuffle(tries)
    sale = BundleBuilder(folder, per_user_limit=shape.limit, tries=tries)
    sale.items = tuple(SaleItem(sku=f"sku-{n + 1}", stock=stock) for n, stock in enumerate(target.initial))
    _drain(sale, target, shape)
    sale.ledger = list(target.orders.values())
    chance.shuffle(sale.ledger)
    sale.readings = [
        StoreReading(sku=item.sku, initial=item.stock, sold=item.stock - left, postgres_remaining=left)
        for item, left in zip(sale.items, target.remaining, strict=True)
    ]
    return sale


def _requests(chance: random.Random, shape: Shape, attempt: int) -> list[tuple[int, str, TryRecord, str]]:
    """One purchase's requests: once, twice at the same time, or again after the first came to nothing."""
    invoked_ns = OPENED_NS + chance.randrange(0, 40) * MS
    ask = TryRecord(
        attempt=attempt,
        try_number=0,
        user=chance.randrange(0, 20),
        sku=chance.randrange(shape.skus),
        quantity=chance.choice(shape.quantities),
        key=chance.randbytes(16),
        intended_ns=invoked_ns,
        invoked_ns=invoked_ns,
        returned_ns=invoked_ns + chance.randrange(1, 15) * MS,
        outcome=Outcome.UNKNOWN,
    )
    fate = chance.choice(("answered",) * 6 + ("request lost", "answer lost", "failed"))
    worker = chance.choice("01")
    requests = [(_moment(chance, ask), worker, ask, fate)]
    again = chance.choice(("no",) * 4 + ("twin", "retry"))
    if again == "twin":
        requests.append((_moment(chance, ask), worker, replace(ask, try_number=1), "answered"))
    if again == "retry" or fate != "answered":
        assert ask.returned_ns is not None
        later_ns = ask.returned_ns + MS
        retry = replace(ask, try_number=2, invoked_ns=later_ns, returned_ns=later_ns + 5 * MS)
        requests.append((_moment(chance, retry), worker, retry, chance.choice(("answered", "answer lost"))))
    return requests


def _moment(chance: random.Random, ask: TryRecord) -> int:
    return chance.randrange(ask.invoked_ns, ask.returned_ns or ask.invoked_ns + MS)


def _answer(target: Target, ask: TryRecord, fate: str) -> TryRecord:
    if fate == "request lost":
        return replace(ask, returned_ns=None)
    if fate == "failed":
        return replace(ask, outcome=Outcome.FAILED, status=503)
    answer = target.decide(ask)
    return answer if fate == "answered" else replace(ask, returned_ns=None)


def _drain(sale: BundleBuilder, target: Target, shape: Shape) -> None:
    begin_ns = OPENED_NS + 200 * MS
    for attempt in range(12 * shape.skus):
        ask = TryRecord(
            attempt=attempt,
            try_number=0,
            user=DRAIN_FIRST_USER + attempt,
            sku=attempt % shape.skus,
            quantity=min(shape.quantities),
            key=(10**9 + attempt).to_bytes(16, "big"),
            intended_ns=begin_ns + attempt * MS,
            invoked_ns=begin_ns + attempt * MS,
            returned_ns=begin_ns + (attempt + 5) * MS,
            outcome=Outcome.UNKNOWN,
        )
        sale.tries.append(Placed(DRAIN_WORKER, target.decide(ask)))


def verdict_of(sale: BundleBuilder) -> VerdictDocument:
    return judge(sale.build())


def broken(verdict: VerdictDocument) -> set[str]:
    return {finding.invariant for finding in verdict.findings if finding.status == "broken"}


def damage(sale: BundleBuilder, chance: random.Random) -> None:
    """Make a few random things wrong with a sale."""
    for _ in range(chance.randrange(1, 4)):
        placed = chance.choice(sale.tries)
        row = chance.randrange(len(sale.ledger)) if sale.ledger else None
        match chance.randrange(7):
            case 0:
                placed.record = replace(placed.record, outcome=chance.choice(list(Outcome)))
            case 1:
                placed.record = replace(placed.record, remaining=chance.randrange(-2, 5))
            case 2:
                placed.record = replace(placed.record, returned_ns=placed.record.invoked_ns + 6_000 * MS)
            case 3 if row is not None:
                sale.ledger.append(sale.ledger[row])
            case 4 if row is not None:
                sale.change_row(row, key=chance.randbytes(16).hex(), user_id=f"u{chance.randrange(20)}")
            case 5 if row is not None:
                sale.change_row(row, quantity=chance.randrange(1, 9), fence=chance.randrange(9))
            case _:
                sale.change_reading(postgres_remaining=chance.randrange(-2, 5))


@given(SEEDS)
@settings(max_examples=80, deadline=None)
def test_an_honest_sale_is_never_accused(seed: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        verdict = verdict_of(random_sale(Path(scratch) / "trial", seed))
    assert broken(verdict) == set()
    assert [finding.sentence for finding in verdict.findings if finding.status != "held"] == []
    overlap = "no two purchases of the load were in flight at once"
    assert verdict.verdict is Verdict.PASS or all(reason.startswith(overlap) for reason in verdict.reasons)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_missing_tries_accuse_nobody_of_what_they_may_have_caused(seed: int) -> None:
    """A worker is killed: some of its tries are gone. Honest or not, only what missing rows can't cause may FAIL."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        honest = random_sale(Path(scratch) / "honest", seed)
        _lose_tries(honest, chance)
        verdict = verdict_of(honest)
        assert broken(verdict) == set()
        assert verdict.verdict is Verdict.UNPROVEN
        assert any("worker 0 was lost" in reason for reason in verdict.reasons)
        crooked = random_sale(Path(scratch) / "crooked", seed)
        damage(crooked, chance)
        _lose_tries(crooked, chance)
        verdict = verdict_of(crooked)
        assert broken(verdict) <= MAY_FAIL_INCOMPLETE
        assert verdict.verdict is not Verdict.PASS


def _lose_tries(sale: BundleBuilder, chance: random.Random) -> None:
    sale.without_closing.add("0")
    sale.tries = [placed for placed in sale.tries if placed.worker != "0" or chance.random() < 0.5]


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_means_nothing(seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        sale = random_sale(Path(scratch) / "one" / "trial", seed)
        damage(sale, chance)
        first = verdict_of(sale)
        chance.shuffle(sale.tries)
        chance.shuffle(sale.ledger)
        sale.folder = Path(scratch) / "two" / "trial"
        second = verdict_of(sale)
    assert first.verdict is second.verdict
    assert first.identities == second.identities
    for one, two in zip(first.findings, second.findings, strict=True):
        assert (one.status, one.sentence, one.numbers, one.offending) == (
            two.status,
            two.sentence,
            two.numbers,
            two.offending,
        )


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_an_order_that_is_gone_is_never_a_pass(seed: int) -> None:
    """Whoever deletes one order and makes a matching manifest contradicts the buyers or the stores."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        sale = random_sale(Path(scratch) / "trial", seed)
        if not sale.ledger:
            return
        sale.ledger.pop(chance.randrange(len(sale.ledger)))
        assert verdict_of(sale).verdict is not Verdict.PASS
