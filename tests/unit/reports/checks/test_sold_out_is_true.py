"""I8 on whole trials: refusals that only the order of what clients saw can contradict, and the stories that show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flashbench.evidence.documents import FindingDocument
from flashbench.vocabulary import Outcome, Verdict
from reports.checks.story import MOST_EVENTS
from reports.judging.text import describe
from reports.judging.trial import judge
from tests.bundles import MS, BundleBuilder, Placed


def first_sold(sale: BundleBuilder) -> Placed:
    return min((each for each in sale.load if each.record.outcome is Outcome.SOLD), key=lambda p: p.record.invoked_ns)


def refuse_early(sale: BundleBuilder, quantity: int = 1) -> None:
    """Somebody was refused, and had the answer, before the first buyer was even there."""
    placed = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT)
    early_ns = first_sold(sale).record.invoked_ns - 10 * MS
    placed.record = replace(
        placed.record, quantity=quantity, intended_ns=early_ns, invoked_ns=early_ns, returned_ns=early_ns + 2 * MS
    )


def finding(folder: Path, invariant: str = "I8") -> FindingDocument:
    verdict = judge(folder)
    return next(each for each in verdict.findings if each.invariant == invariant)


@pytest.mark.parametrize("counter", [False, True])
def test_a_refusal_while_units_were_left_is_caught_by_nothing_else(tmp_path: Path, counter: bool) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", counter=counter)
    refuse_early(sale)
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.FAIL
    assert [each.invariant for each in verdict.findings if each.status == "broken"] == ["I8"]


def test_the_story_is_the_refusal_and_who_got_the_units_afterwards(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    refuse_early(sale)
    found = finding(sale.build())
    assert found.story is not None
    refusal, *later = found.story.events
    assert refusal.outcome == "sold_out"
    assert len(later) == 3
    assert all(each.outcome == "sold" and (each.from_ms or 0) > (refusal.to_ms or 0) for each in later)
    text = describe(judge(sale.folder))
    assert "in short (milliseconds since the sale began)" in text
    assert "asks for 1 of sku-1" in text


def test_a_refusal_that_overlaps_the_last_sale_is_true(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    last_ns = max(each.record.invoked_ns for each in sale.load if each.record.outcome is Outcome.SOLD)
    placed = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT)
    placed.record = replace(placed.record, intended_ns=last_ns - 1, invoked_ns=last_ns - 1, returned_ns=last_ns + MS)
    assert finding(sale.build()).status == "held"


def test_an_unknown_purchase_explains_a_refusal_only_if_the_ledger_has_it(tmp_path: Path) -> None:
    """The one unknown purchase that was not booked can't have taken the unit; without a ledger it may have."""
    sale = BundleBuilder.honest(tmp_path / "trial", stock=1, users=4)
    sold = first_sold(sale)
    refused = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT)
    early_ns = sold.record.invoked_ns - 10 * MS
    refused.record = replace(refused.record, intended_ns=early_ns, invoked_ns=early_ns, returned_ns=early_ns + 2 * MS)
    other = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT and each is not refused)
    other.record = replace(
        other.record,
        intended_ns=early_ns,
        invoked_ns=early_ns,
        returned_ns=None,
        outcome=Outcome.UNKNOWN,
        status=0,
    )
    assert finding(sale.build()).status == "broken"


def test_quantities_are_checked_too(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    refuse_early(sale, quantity=2)
    found = finding(sale.build())
    assert (found.status, found.numbers["algorithm"]) == ("broken", "B")


def test_an_order_that_seq_states_and_clients_contradict(tmp_path: Path) -> None:
    """The first sale was over before the second began, and the ledger has them the other way round."""
    sale = BundleBuilder.honest(tmp_path / "trial")
    rows = {row.key: position for position, row in enumerate(sale.ledger)}
    sold = sorted(
        (each for each in sale.load if each.record.outcome is Outcome.SOLD), key=lambda each: each.record.invoked_ns
    )
    first, last = rows[sold[0].record.key.hex()], rows[sold[-1].record.key.hex()]
    seqs = sale.ledger[first].seq, sale.ledger[last].seq
    for placed in sale.tries:
        placed.record = replace(placed.record, remaining=None)
    for position in range(len(sale.ledger)):
        sale.change_row(position, remaining=None)
    for placed, position, seq in ((sold[0], first, seqs[1]), (sold[-1], last, seqs[0])):
        placed.record = replace(placed.record, seq=seq)
        sale.change_row(position, seq=seq)
    early_ns = sold[0].record.invoked_ns - 10 * MS
    sold[0].record = replace(sold[0].record, intended_ns=early_ns, invoked_ns=early_ns, returned_ns=early_ns + 2 * MS)
    found = finding(sale.build())
    assert found.status == "broken"
    assert "was asked for after the one with seq" in found.sentence
    assert found.numbers["algorithm"] == "A, C"


def test_missing_tries_leave_it_undecided(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    refuse_early(sale)
    folder = sale.build()
    (folder / "tries-1.parquet").unlink()
    assert finding(folder).status == "undecided"


def test_an_oversell_is_told_by_as_few_orders_as_show_it(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", stock=30, users=60)
    spare = sale.ledger[0]
    for number in range(8):
        sale.ledger.append(replace(spare, order_id=f"extra-{number}", key=f"{number:032x}", seq=None, remaining=None))
    story = finding(sale.build(), "I1").story
    assert story is not None
    assert len(story.events) + story.left_out == 31
    assert len(story.events) == MOST_EVENTS


def test_an_answer_before_its_question_leaves_it_undecided(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    placed = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT)
    placed.record = replace(placed.record, returned_ns=placed.record.invoked_ns - MS)
    found = finding(sale.build())
    assert (found.status, "stamps mean nothing" in found.sentence) == ("undecided", True)


def test_orders_without_a_single_try_are_no_traceback(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    sale.tries.clear()
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.FAIL
    assert "I3" in [each.invariant for each in verdict.findings if each.status == "broken"]
