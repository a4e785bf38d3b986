"""If these fail, luck is called a difference, or a difference is overlooked."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.latency.statistics import Estimate, difference, holm, least_p, repetitions_needed

figures = st.floats(0.001, 1e6)


def test_an_estimate_of_nothing_is_nothing() -> None:
    assert Estimate.of([None, None]) is None
    assert Estimate.of([None, 2.0, 4.0]) == Estimate(3.0, 2.0, 4.0, 2)


@given(st.lists(figures, min_size=5, max_size=20))
def test_an_interval_lies_within_the_range_and_around_the_mean(values: list[float]) -> None:
    found = Estimate.of(values)
    assert found is not None
    slack = 1e-9 * max(values)
    assert min(values) - slack <= found.least <= found.mean + slack
    assert found.mean - slack <= found.greatest <= max(values) + slack


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    """Percentile bootstraps of ten normal values cover somewhat less than 95 %."""
    chance = random.Random(4)
    covered = 0
    for _ in range(200):
        found = Estimate.of([chance.gauss(100, 10) for _ in range(10)])
        assert found is not None
        covered += found.least <= 100 <= found.greatest
    assert 170 <= covered <= 198


def test_the_same_is_no_difference_and_the_apart_is() -> None:
    same = difference([10, 11, 12, 13, 14], [10.5, 11.5, 12.5, 9.5, 13.5])
    apart = difference([10, 11, 12, 13, 14], [20, 21, 22, 23, 24])
    assert same is not None
    assert apart is not None
    assert not same.significant
    assert apart.significant
    assert apart.ratio == pytest.approx(22 / 12)
    assert apart.least <= apart.ratio <= apart.greatest
    assert apart.p_value == pytest.approx(2 / 252)  # of the 252 ways to choose five of ten, two are as extreme


def test_tests_of_one_side_see_only_that_side() -> None:
    slower = difference([10, 11, 12, 13, 14], [20, 21, 22, 23, 24])
    assert slower is not None
    assert slower.p_greater == pytest.approx(least_p((5, 5)))
    assert slower.p_less > 0.99


def test_two_against_two_can_decide_nothing() -> None:
    found = difference([1, 2], [30, 40])
    assert found is not None
    assert not found.significant
    assert least_p((2, 2)) > 0.05
    assert repetitions_needed(1) == 4


@given(st.integers(1, 200))
def test_so_many_repetitions_are_enough_and_one_less_is_not(tests: int) -> None:
    count = repetitions_needed(tests)
    apart = [least_p((count, count)), *[1.0] * (tests - 1)]
    assert holm(apart)[0]
    too_few = [least_p((count - 1, count - 1)), *[1.0] * (tests - 1)]
    assert not any(holm(too_few))


def test_holm_keeps_what_is_significant_among_all() -> None:
    assert holm([0.01, 0.04, 0.03]) == [True, False, False]
    assert holm([0.01, 0.02, 0.03]) == [True, True, True]
    assert holm([0.04, 0.04]) == [False, False]
    assert holm([]) == []


def test_noise_is_rarely_called_a_difference() -> None:
    chance = random.Random(7)
    called = 0
    for _ in range(300):
        draws = [chance.gauss(50, 5) for _ in range(12)]
        found = difference(draws[:6], draws[6:])
        assert found is not None
        called += found.significant
    assert called <= 300 * 0.08


def test_without_values_there_is_no_difference() -> None:
    assert difference([], [1.0]) is None
    assert difference([0.0, 0.0], [1.0]) is None
    nothing = difference([3.0, 3.0], [3.0, 3.0])
    assert nothing is not None
    assert (nothing.ratio, nothing.p_value) == (1.0, 1.0)
    assert statistics.mean([nothing.least, nothing.greatest]) == 1.0
