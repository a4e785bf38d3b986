"""Every check can fail: each break of an honest sale is found by the checks that should find it, and by no other.

If one of these fails, a strategy with that defect could be published as proven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashbench.evidence.documents import DRAIN_WORKER, Quiescence, VerdictDocument
from flashbench.evidence.records import TryRecord
from flashbench.target.protocol import LedgerRow
from flashbench.vocabulary import Outcome, Verdict
from reports.checks.registry import checks
from reports.judging.trial import judge
from tests.bundles import MS, BundleBuilder, Placed

Break = Callable[[BundleBuilder], None]


def sold(record: TryRecord) -> bool:
    return record.outcome is Outcome.SOLD


def sold_out(record: TryRecord) -> bool:
    return record.outcome is Outcome.SOLD_OUT


def limited(record: TryRecord) -> bool:
    return record.outcome is Outcome.LIMITED


def sold_at_once(record: TryRecord) -> bool:
    """Sold with one try: user 4 is the first whose request was neither lost nor sent twice."""
    return record.user == 4


def row_of(sale: BundleBuilder, user: int) -> int:
    return next(position for position, row in enumerate(sale.ledger) if row.user_id == f"u{user}")


def sale_of(record: TryRecord, order: str, seq: int | None, remaining: int | None) -> LedgerRow:
    """The order that a strategy without protection might have written for a try."""
    return LedgerRow(
        order_id=order,
        sku="sku-1",
        quantity=record.quantity,
        user_id=f"u{record.user}",
        key=record.key.hex(),
        remaining=remaining,
        seq=seq,
        fence=None,
        created_unix_us=None,
    )


def settle(sale: BundleBuilder) -> None:
    """Let the stores agree with the ledger, so that only what was broken on purpose is broken."""
    total = sum(row.quantity for row in sale.ledger if row.sku == "sku-1")
    left = max(0, sale.items[0].stock - total)
    redis = left if sale.counter else None
    sale.change_reading(sold=total, postgres_remaining=left, redis_remaining=redis)


# --- breaks -----------------------------------------------------------------------------------------------------------


def oversell_acknowledged(sale: BundleBuilder) -> None:
    before = sale.change_try(sold_out, outcome=Outcome.SOLD, status=201, order_id="extra")
    sale.ledger.append(sale_of(before, "extra", None, None))
    settle(sale)


def oversell_by_an_unknown(sale: BundleBuilder) -> None:
    before = sale.change_try(sold_out, outcome=Outcome.UNKNOWN, status=0, returned_ns=None)
    sale.ledger.append(sale_of(before, "extra", None, None))
    settle(sale)


def lost_sale(sale: BundleBuilder) -> None:
    """The stock went down, the buyer was told, and no order was kept."""
    sale.ledger.pop(row_of(sale, 4))
    sale.change_reading(sold=len(sale.ledger))


def order_of_another_quantity(sale: BundleBuilder) -> None:
    """Two small mistakes that cancel out in every sum."""
    sale.change_row(row_of(sale, 4), quantity=2)
    sale.change_row(row_of(sale, 5), quantity=0)


def order_for_another_user(sale: BundleBuilder) -> None:
    sale.change_row(row_of(sale, 4), user_id="u999")


def order_for_another_sku(sale: BundleBuilder) -> None:
    sale.change_row(0, sku="sku-2")
    sale.change_row(1, sku="sku-1")


def invented_order(sale: BundleBuilder) -> None:
    """An order under a key that nobody sent takes the place of the one that an unanswered buyer made."""
    position = row_of(sale, 0)
    sale.change_row(position, key="f" * 32)


def refused_but_ordered(sale: BundleBuilder) -> None:
    sale.change_try(sold_at_once, outcome=Outcome.SOLD_OUT, status=409, order_id=None, remaining=None, seq=None)


def failed_but_ordered(sale: BundleBuilder) -> None:
    sale.change_try(sold_at_once, outcome=Outcome.FAILED, status=503, order_id=None, remaining=None, seq=None)


def unknown_ordered_differently(sale: BundleBuilder) -> None:
    position = row_of(sale, 0)
    sale.change_row(position, user_id="u1")


def two_orders_for_one_key(sale: BundleBuilder) -> None:
    """The second order takes the unit that an unanswered buyer had bought."""
    position = row_of(sale, 0)
    answered = next(placed.record for placed in sale.load if sold(placed.record))
    row = sale.ledger[position]
    sale.ledger[position] = replace(row, key=answered.key.hex(), user_id=f"u{answered.user}")


def replay_with_another_order(sale: BundleBuilder) -> None:
    sale.change_try(lambda record: record.try_number == 1 and sold(record), order_id="another")


def replay_with_another_remaining(sale: BundleBuilder) -> None:
    sale.change_try(lambda record: record.try_number == 1 and sold(record), remaining=None)


def replay_with_another_seq(sale: BundleBuilder) -> None:
    sale.change_try(lambda record: record.try_number == 1 and sold(record), seq=77)


def negative_answer(sale: BundleBuilder) -> None:
    sale.change_try(sold_at_once, remaining=-1)


def negative_read(sale: BundleBuilder) -> None:
    sale.add_read(remaining=-1)


def negative_order(sale: BundleBuilder) -> None:
    sale.change_row(2, remaining=-3)


def negative_store(sale: BundleBuilder) -> None:
    sale.change_reading(redis_remaining=-1)


def leaked_unit(sale: BundleBuilder) -> None:
    """The last unit bought was never bought; the drain was refused all the same."""
    row = sale.ledger.pop()
    key = bytes.fromhex(row.key)
    sale.change_try(
        lambda record: record.key == key, outcome=Outcome.SOLD_OUT, status=409, order_id=None, remaining=None, seq=None
    )
    settle(sale)


def lost_update(sale: BundleBuilder) -> None:
    """Postgres counts one sale less than there are orders, and nobody can buy what it says is left."""
    sale.change_reading(postgres_remaining=1)


def vanished_unit(sale: BundleBuilder) -> None:
    """An unanswered buyer's order is gone, its unit too."""
    position = row_of(sale, 0)
    sale.ledger.pop(position)
    sale.change_reading(sold=len(sale.ledger))


def opened_with_another_stock(sale: BundleBuilder) -> None:
    sale.change_reading(initial=6)


def held_forever(sale: BundleBuilder) -> None:
    sale.change_reading(redis_held=1)


def redis_behind(sale: BundleBuilder) -> None:
    sale.change_reading(redis_remaining=1)


def limit_passed(sale: BundleBuilder) -> None:
    """Two buyers' orders are one user's; both ends were told so."""
    users = [row.user_id for row in sale.ledger]
    first, other = users[0], next(user for user in users if user != users[0])
    for position, row in enumerate(sale.ledger):
        if row.user_id == other:
            sale.change_row(position, user_id=first)
    for placed in sale.load:
        if f"u{placed.record.user}" == other:
            placed.record = replace(placed.record, user=int(first[1:]))


def limited_without_reason(sale: BundleBuilder) -> None:
    sale.change_try(sold_out, outcome=Outcome.LIMITED)


def limited_too_early(sale: BundleBuilder) -> None:
    """A refusal that came back before its user had bought anything."""
    record = next(placed.record for placed in sale.load if limited(placed.record))
    early = min(placed.record.invoked_ns for placed in sale.load) - 10 * MS
    sale.change_try(lambda other: other.key == record.key, intended_ns=early, invoked_ns=early, returned_ns=early + MS)


def fence_went_back(sale: BundleBuilder) -> None:
    sale.change_row(1, fence=9)


def drain_never_decided(sale: BundleBuilder) -> None:
    placed = sale.drain[5]
    placed.record = replace(placed.record, outcome=Outcome.FAILED, status=503)


def drain_too_slow(sale: BundleBuilder) -> None:
    placed = sale.drain[5]
    placed.record = replace(placed.record, returned_ns=placed.record.invoked_ns + 5_001 * MS)


BREAKS: list[tuple[Break, set[str]]] = [
    (oversell_acknowledged, {"I1", "I7", "I8", "I10"}),
    (oversell_by_an_unknown, {"I1", "I7", "I8", "I10"}),
    (lost_sale, {"I2", "I6", "I7", "I10"}),
    (order_of_another_quantity, {"I2", "I8"}),
    (order_for_another_user, {"I2"}),
    (invented_order, {"I3"}),
    (refused_but_ordered, {"I3"}),
    (failed_but_ordered, {"I3"}),
    (unknown_ordered_differently, {"I3"}),
    (two_orders_for_one_key, {"I4"}),
    (replay_with_another_order, {"I4"}),
    (replay_with_another_remaining, {"I4"}),
    (replay_with_another_seq, {"I4"}),
    (negative_answer, {"I2", "I5", "I8"}),
    (negative_read, {"I5"}),
    (negative_order, {"I2", "I5", "I8"}),
    (negative_store, {"I5", "I7", "I10"}),
    (leaked_unit, {"I6", "I8"}),
    (lost_update, {"I6", "I7", "I8", "I10"}),
    (vanished_unit, {"I6", "I7", "I8", "I10"}),
    (opened_with_another_stock, {"I7"}),
    (held_forever, {"I7", "I10"}),
    (redis_behind, {"I6", "I7", "I10"}),
    (limited_without_reason, {"I9"}),
    (fence_went_back, {"I11"}),
    (drain_never_decided, {"I12"}),
    (drain_too_slow, {"I12"}),
]


def honest(folder: Path) -> BundleBuilder:
    """With everything in it that a break may need: unanswered buyers, twins, a counter."""
    return BundleBuilder.honest(folder / "trial", unknowns=2, twins=2, counter=True)


def broken(verdict: VerdictDocument) -> set[str]:
    return {finding.invariant for finding in verdict.findings if finding.status == "broken"}


def test_the_honest_sale_passes(tmp_path: Path) -> None:
    verdict = judge(honest(tmp_path).build())
    assert (verdict.verdict, verdict.reasons) == (Verdict.PASS, ())
    assert [finding.invariant for finding in verdict.findings] == [
        *("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12"),
    ]


@pytest.mark.parametrize(("damage", "found_by"), BREAKS, ids=[damage.__name__ for damage, _ in BREAKS])
def test_a_break_is_found_and_by_no_other_check(tmp_path: Path, damage: Break, found_by: set[str]) -> None:
    sale = honest(tmp_path)
    damage(sale)
    verdict = judge(sale.build())
    assert broken(verdict) == found_by
    assert verdict.verdict is Verdict.FAIL


def test_two_orders_that_swap_their_skus_are_lost_sales(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", skus=2)
    order_for_another_sku(sale)
    assert broken(judge(sale.build())) == {"I2"}


def test_a_user_over_the_limit_is_found(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", limit=1, users=12, stock=8)
    limit_passed(sale)
    verdict = judge(sale.build())
    assert broken(verdict) == {"I9"}
    assert next(f for f in verdict.findings if f.invariant == "I9").numbers["users_over"] == 1


def test_a_refusal_by_the_limit_must_be_explained_by_earlier_purchases(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", limit=1, users=3, stock=8)
    limited_too_early(sale)
    assert broken(judge(sale.build())) == {"I9"}


def test_a_refused_purchase_does_not_explain_a_refusal_by_the_limit(tmp_path: Path) -> None:
    """A strategy that counts attempts instead of sales tells buyers of a limit that they never reached."""
    sale = BundleBuilder.honest(tmp_path / "trial", limit=1, stock=1, users=12)
    again = [placed for placed in sale.load if sold_out(placed.record)][-1]
    again.record = replace(again.record, outcome=Outcome.LIMITED)
    assert broken(judge(sale.build())) == {"I9"}


def test_acknowledged_sales_beyond_the_stock_are_an_oversell_without_any_ledger(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for _ in range(2):
        sale.change_try(sold_out, outcome=Outcome.SOLD, status=201)
    folder = sale.build()
    (folder / "ledger.parquet").unlink()
    verdict = judge(folder)
    assert broken(verdict) == {"I1", "I8"}
    assert next(finding for finding in verdict.findings if finding.invariant == "I1").tries


def test_clocks_that_differ_bar_a_pass_and_leave_a_fail_a_fail(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sale.last_words["1"] = {"own_clock": True}
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert [each.invariant for each in verdict.findings if each.status != "held"] == ["I8"]

    sale.folder, sale.ledger = tmp_path / "lost", sale.ledger[1:]
    assert judge(sale.build()).verdict is Verdict.FAIL


def test_two_answers_that_were_swapped_are_found(tmp_path: Path) -> None:
    """Each buyer is told of an order, and it is the other's."""
    sale = honest(tmp_path)
    tries = Counter(placed.record.key for placed in sale.load)
    first, second = [placed for placed in sale.load if sold(placed.record) and tries[placed.record.key] == 1][:2]
    told = [(each.record.order_id, each.record.remaining, each.record.seq) for each in (first, second)]
    for placed, (order, remaining, seq) in zip((second, first), told, strict=True):
        placed.record = replace(placed.record, order_id=order, remaining=remaining, seq=seq)
    verdict = judge(sale.build())
    assert "I2" in broken(verdict)
    (finding,) = (each for each in verdict.findings if each.invariant == "I2")
    assert finding.numbers["different"] == 2


def test_a_sale_that_may_come_to_the_ledger_later_is_not_lost(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    lost_sale(sale)
    sale.trial_fields["quiescence"] = Quiescence(reached=False, waited_s=9, snapshots_apart_s=0)
    assert "I2" not in broken(judge(sale.build()))


def test_units_that_a_failed_try_gave_back_explain_no_refusal(tmp_path: Path) -> None:
    """Who was refused after that, and before the same purchase was sent again, was refused although there was one."""
    sale = BundleBuilder.honest(tmp_path / "trial", stock=1, attempts=6)
    winner = next(placed for placed in sale.load if sold(placed.record))
    loser = next(placed for placed in sale.load if sold_out(placed.record) and placed.worker == winner.worker)
    begun_ns = min(placed.record.invoked_ns for placed in sale.load)
    nothing: dict[str, Any] = {"order_id": None, "remaining": None, "seq": None}
    failed = replace(winner.record, outcome=Outcome.FAILED, status=503, **nothing)
    failed = replace(failed, intended_ns=begun_ns, invoked_ns=begun_ns, returned_ns=begun_ns + 1)
    again: dict[str, Any] = {"try_number": 1, "intended_ns": begun_ns + 5 * MS, "invoked_ns": begun_ns + 5 * MS}
    winner.record = replace(winner.record, **again, returned_ns=begun_ns + 6 * MS)
    asked: dict[str, Any] = {"intended_ns": begun_ns + 2 * MS, "invoked_ns": begun_ns + 2 * MS}
    loser.record = replace(loser.record, **asked, returned_ns=begun_ns + 3 * MS)
    for placed in sale.load:
        if placed not in (winner, loser):
            later: dict[str, Any] = {"intended_ns": begun_ns + 7 * MS, "invoked_ns": begun_ns + 7 * MS}
            placed.record = replace(placed.record, **later, returned_ns=begun_ns + 8 * MS)
    sale.tries.append(replace(winner, record=failed))
    assert broken(judge(sale.build())) == {"I8"}


def test_a_purchase_that_never_happened_explains_no_refusal_by_the_limit(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", limit=1, stock=1, users=12, unknowns=2)
    unknown = [placed for placed in sale.load if placed.record.outcome is Outcome.UNKNOWN][-1]
    assert unknown.record.key.hex() not in {row.key for row in sale.ledger}
    again = [placed for placed in sale.load if sold_out(placed.record) and placed.record.user == unknown.record.user][
        -1
    ]
    again.record = replace(again.record, outcome=Outcome.LIMITED)
    assert broken(judge(sale.build())) == {"I9"}


def test_every_oversold_sku_is_counted(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", skus=3)
    for position in range(len(sale.ledger)):
        if sale.ledger[position].sku != "sku-2":
            sale.change_row(position, quantity=3)
    finding = judge(sale.build()).findings[0]
    assert finding.numbers["oversold_skus"] == 2
    assert finding.offending == finding.numbers["oversold_units"] == 2 * 10
    assert "1 more SKU is oversold" in finding.sentence


def test_a_key_that_was_refused_and_then_sold_is_no_invention_but_contradicts_itself(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    record = next(placed.record for placed in sale.load if sold(placed.record))
    refused = replace(record, outcome=Outcome.SOLD_OUT, status=409, order_id=None, remaining=None, seq=None)
    worker = next(placed.worker for placed in sale.load if placed.record is record)
    sale.change_try(
        lambda other: other is record,
        try_number=1,
        invoked_ns=record.invoked_ns + 20 * MS,
        returned_ns=record.invoked_ns + 22 * MS,
    )
    sale.tries.insert(0, Placed(worker, refused))
    assert broken(judge(sale.build())) == {"I4"}


def test_a_refusal_while_another_drain_purchase_held_the_unit_is_no_leak(tmp_path: Path) -> None:
    """The holder failed later and gave the unit back; whether it is out of reach nobody has tried."""
    sale = honest(tmp_path)
    leaked_unit(sale)
    first = sale.drain[0]
    last_ns = max(placed.record.invoked_ns for placed in sale.drain)
    first.record = replace(first.record, outcome=Outcome.FAILED, status=503, returned_ns=last_ns + MS)
    retry = replace(first.record, try_number=1, invoked_ns=last_ns + 2 * MS, returned_ns=last_ns + 3 * MS)
    sale.tries.append(Placed(DRAIN_WORKER, replace(retry, outcome=Outcome.FAILED)))
    finding = next(each for each in judge(sale.build()).findings if each.invariant == "I6")
    assert finding.status == "undecided"


def test_checks_are_found_by_their_files() -> None:
    numbers = [int(check.invariant[1:]) for check in checks()]
    assert numbers == sorted(set(numbers))
    assert {f"I{number}" for number in numbers} >= {f"I{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12)}


def test_a_finding_shows_a_handful_of_offenders_and_counts_them_all(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", stock=20, attempts=30)
    del sale.ledger[:12]
    finding = next(each for each in judge(sale.build()).findings if each.invariant == "I2")
    assert (len(finding.tries), finding.offending) == (5, 12)
    assert finding.tries[0]["outcome"] == "sold"
    assert finding.tries[0]["invoked_ms"] == 0.0


def test_a_service_that_is_not_told_who_buys_is_not_asked(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", limit=1, users=24)
    for position in range(len(sale.ledger)):
        sale.change_row(position, user_id="")
    assert broken(judge(sale.build())) == set()
