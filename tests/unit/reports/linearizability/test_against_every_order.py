"""Each checker against a search of all orders, on many small random histories: not one disagreement."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from reports.linearizability import (
    NEVER,
    Kind,
    Operation,
    Operations,
    Violation,
    check_quantities,
    check_units,
    check_witnessed,
)
from tests.unit.reports.linearizability.histories import Recipe, random_history
from tests.unit.reports.linearizability.oracle import explainable

Check = Callable[[Operations], Violation | None]

CASES = [
    pytest.param(check_units, Recipe(), id="units"),
    pytest.param(check_units, Recipe(reads=True), id="units-and-reads"),
    pytest.param(check_units, Recipe(reads=True, stated=0.5), id="units-reads-and-some-answers"),
    pytest.param(check_units, Recipe(stated=1.0), id="units-and-all-answers"),
    pytest.param(check_quantities, Recipe(most_quantity=4), id="quantities"),
    pytest.param(check_quantities, Recipe(most_quantity=2), id="small-quantities"),
    pytest.param(
        check_witnessed,
        Recipe(most_quantity=3, reads=True, unknowns=False, stated=0.3, sequenced=True),
        id="witnessed",
    ),
    pytest.param(check_witnessed, Recipe(reads=True, unknowns=False, stated=1.0, sequenced=True), id="witnessed-units"),
]


@pytest.mark.parametrize(("check", "recipe"), CASES)
def test_agrees_with_a_search_of_every_order(check: Check, recipe: Recipe, request: pytest.FixtureRequest) -> None:
    wanted = request.config.getoption("histories")
    chance = random.Random(f"every order {recipe}")
    possible = 0
    for number in range(wanted):
        initial, operations = random_history(chance, recipe)
        expected = explainable(initial, operations, along_seq=recipe.sequenced)
        found = check(Operations.of(initial, operations))
        assert (found is None) == expected, (number, initial, operations, found)
        possible += expected
    assert 0.2 < possible / wanted < 0.8, "too one-sided to tell anything"


@pytest.mark.parametrize(("check", "recipe"), CASES)
def test_an_earlier_return_can_only_break_and_a_wider_window_only_heal(check: Check, recipe: Recipe) -> None:
    chance = random.Random(f"windows {recipe}")
    seen = {True: 0, False: 0}
    for _ in range(400):
        initial, operations = random_history(chance, recipe, most=25)
        linearizable = check(Operations.of(initial, operations)) is None
        seen[linearizable] += 1
        change = _wider if linearizable else _narrower
        changed = [change(chance, each) for each in operations]
        assert (check(Operations.of(initial, changed)) is None) == linearizable, (initial, operations, changed)
    assert min(seen.values()) > 40


@pytest.mark.parametrize(("check", "recipe"), CASES)
def test_what_it_names_is_part_of_the_history(check: Check, recipe: Recipe) -> None:
    chance = random.Random(f"names {recipe}")
    sentences = set()
    for _ in range(300):
        initial, operations = random_history(chance, recipe)
        found = check(Operations.of(initial, operations))
        if found is not None:
            assert found.operations
            assert set(found.operations) <= set(range(len(operations)))
            sentences.add(found.sentence)
    assert len(sentences) > 3


def test_an_order_that_is_witnessed_is_an_order() -> None:
    chance = random.Random("witnessed")
    recipe = Recipe(reads=True, unknowns=False, stated=0.5, sequenced=True)
    witnessed = 0
    for _ in range(1_000):
        initial, operations = random_history(chance, recipe, most=20)
        history = Operations.of(initial, operations)
        if check_witnessed(history) is None:
            witnessed += 1
            assert check_units(history) is None, (initial, operations)
    assert witnessed > 100


def test_without_reads_units_are_quantities_of_one() -> None:
    chance = random.Random("both")
    found = set()
    for _ in range(2_000):
        initial, operations = random_history(chance, Recipe(), most=25)
        history = Operations.of(initial, operations)
        by_units = check_units(history) is None
        assert by_units == (check_quantities(history) is None), (initial, operations)
        found.add(by_units)
    assert found == {True, False}


def _wider(chance: random.Random, operation: Operation) -> Operation:
    more = chance.randint(0, 2)
    returned = operation.returned if operation.returned == NEVER else operation.returned + chance.randint(0, 2)
    return replace(operation, invoked=max(0, operation.invoked - more), returned=returned)


def _narrower(chance: random.Random, operation: Operation) -> Operation:
    if operation.kind is Kind.UNKNOWN:
        return operation
    until = min(operation.returned, operation.invoked + 5)
    return replace(operation, returned=chance.randint(operation.invoked, until))
