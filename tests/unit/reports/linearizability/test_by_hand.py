"""Histories whose verdict can be told by looking."""

from __future__ import annotations

import pytest

from reports.linearizability import (
    NEVER,
    Kind,
    Operation,
    Operations,
    check_quantities,
    check_units,
    check_witnessed,
)

SALE, UNKNOWN, REFUSAL, READ = Kind.SALE, Kind.UNKNOWN, Kind.REFUSAL, Kind.READ


def units(initial: int, *operations: Operation) -> str | None:
    found = check_units(Operations.of(initial, operations))
    return found.sentence if found else None


def quantities(initial: int, *operations: Operation) -> str | None:
    found = check_quantities(Operations.of(initial, operations))
    return found.sentence if found else None


def witnessed(initial: int, *operations: Operation) -> str | None:
    found = check_witnessed(Operations.of(initial, operations))
    return found.sentence if found else None


def test_nothing_happened() -> None:
    assert units(3) is quantities(3) is witnessed(3) is None


def test_one_too_many() -> None:
    two = (Operation(SALE, 1, 2), Operation(SALE, 1, 2))
    assert units(2, *two) is None
    assert units(1, *two) == quantities(1, *two) == "2 units were sold of 1"


def test_told_sold_out_while_a_unit_was_left() -> None:
    early, late = Operation(REFUSAL, 1, 2), Operation(SALE, 3, 4)
    assert quantities(1, early, late) == "a buyer of 1 was told sold out when at least 1 of 1 units were left"
    assert units(1, early, late) == "a buyer was told sold out, and somebody who asked later was sold a unit"
    assert units(1, Operation(REFUSAL, 1, 3), late) is None, "touching stamps are concurrent"


def test_an_unknown_purchase_explains_one_refusal_once() -> None:
    refused = Operation(REFUSAL, 2, 3)
    assert units(1, refused)
    assert units(1, refused, Operation(UNKNOWN, 1)) is None
    assert units(1, refused, Operation(UNKNOWN, 4))
    assert units(1, refused, Operation(UNKNOWN, 1), Operation(SALE, 4, 5)), "the unit can't be sold twice"


def test_two_refusals_that_no_choice_of_unknowns_explains_together() -> None:
    history = (
        Operation(UNKNOWN, 1, quantity=3),
        Operation(REFUSAL, 2, 2, quantity=2),
        Operation(UNKNOWN, 3, quantity=4),
        Operation(REFUSAL, 4, 4, quantity=1),
    )
    for refusal in (history[1], history[3]):
        assert quantities(4, history[0], history[2], refusal) is None
    assert quantities(4, *history) == (
        "a buyer of 1 was told sold out when at least 4 of 4 units were left,"
        " and what 2 unknown purchases may have taken does not explain it"
    )


def test_a_read_that_goes_back() -> None:
    assert units(2, Operation(SALE, 1, 4), Operation(READ, 1, 2, remaining=1), Operation(READ, 3, 4, remaining=2)) == (
        "a reader was told that 1 were left when no more than 0 of 2 units could have been sold,"
        " as a reader was told that 2 were left later"
    )


def test_answers_that_state_the_same_remaining() -> None:
    twins = (Operation(SALE, 1, 2, remaining=1), Operation(SALE, 1, 2, remaining=1))
    assert units(3, *twins) == "2 sales say that they left 1"


def test_the_order_that_seq_states() -> None:
    first, second = Operation(SALE, 1, 2, seq=2), Operation(SALE, 3, 4, seq=1)
    assert witnessed(2, first, second) == "the sale with seq 1 was asked for after the one with seq 2 had been answered"
    assert units(2, first, second) is None, "another order would do, but the target states this one"
    assert witnessed(2, Operation(SALE, 1, 3, seq=2), second) is None
    assert witnessed(3, Operation(SALE, 1, 2, seq=1), Operation(SALE, 1, 2, seq=1)) == (
        "two sales have the same place 1 in the order"
    )


def test_what_a_sale_says_it_left_must_follow_from_the_order() -> None:
    assert witnessed(5, Operation(SALE, 1, 2, quantity=2, remaining=4, seq=1)) == (
        "the sale with seq 1 says that it left 4, and by the order it left 3"
    )


def test_an_order_found_in_the_ledger_explains_a_refusal() -> None:
    lost_answer = Operation(SALE, 1, NEVER, quantity=2, seq=1)
    assert witnessed(2, lost_answer, Operation(REFUSAL, 2, 3)) is None
    assert witnessed(2, Operation(REFUSAL, 2, 3), Operation(SALE, 4, NEVER, quantity=2, seq=1)) == (
        "a buyer of 1 was told sold out; by the order of the sales, 2 were left in that time"
    )


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (Operation(SALE, 2, 1), "returned before it was invoked"),
        (Operation(SALE, 1, 2, quantity=0), "at least one unit"),
        (Operation(READ, 1, 2), "states what remained"),
    ],
)
def test_nonsense_is_refused(operation: Operation, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Operations.of(1, [operation])


def test_each_checker_says_what_it_cannot_take() -> None:
    with pytest.raises(ValueError, match="one unit"):
        units(5, Operation(SALE, 1, 2, quantity=2))
    with pytest.raises(ValueError, match="no reads"):
        quantities(5, Operation(READ, 1, 2, remaining=5))
    with pytest.raises(ValueError, match="seq of every sale"):
        witnessed(5, Operation(SALE, 1, 2))
    with pytest.raises(ValueError, match="no unknown"):
        witnessed(5, Operation(UNKNOWN, 1))
