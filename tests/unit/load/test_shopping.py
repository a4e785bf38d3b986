"""Keys and users that coincide between workers would make an honest target look broken."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from flashbench.load.shopping import (
    Popularity,
    idempotency_key,
    quantity_asked,
    random_stream,
    think_ns,
    user_number,
)


def test_no_two_attempts_share_a_key() -> None:
    keys = {
        idempotency_key(seed, sale, worker, attempt)
        for seed in range(2)
        for sale in ("a", "b")
        for worker in range(12)
        for attempt in range(120)
    }
    assert len(keys) == 2 * 2 * 12 * 120
    assert {len(key) for key in keys} == {16}


def test_no_two_workers_share_a_user() -> None:
    numbers = [user_number(worker, ordinal) for worker in range(3) for ordinal in (0, 1, 999_999)]
    assert len(set(numbers)) == len(numbers)


def test_the_same_seed_gives_the_same_choices_and_another_user_others() -> None:
    draws = [random_stream(1, 0, 0).random(), random_stream(1, 0, 0).random(), random_stream(1, 0, 1).random()]
    assert draws[0] == draws[1] != draws[2]


def test_the_first_sku_is_the_hottest() -> None:
    popularity, stream = Popularity(10), random.Random(1)
    counts = Counter(popularity.pick(stream) for _ in range(20_000))
    assert set(counts) == set(range(10))
    assert 1.7 < counts[0] / counts[1] < 2.3
    assert counts[0] > counts[4] > counts[9]


@given(st.integers(1, 50), st.integers())
def test_every_pick_is_a_sku(count: int, seed: int) -> None:
    stream = random.Random(seed)
    assert all(0 <= Popularity(count).pick(stream) < count for _ in range(20))


def test_thinking_time_has_its_mean_and_a_bound() -> None:
    stream = random.Random(1)
    times = [think_ns(stream, 100.0) for _ in range(5_000)]
    assert 95e6 < sum(times) / len(times) < 105e6
    assert max(times) <= 1_000e6
    assert think_ns(stream, 0) == 0


def test_quantities_are_even_and_a_fixed_one_costs_no_draw() -> None:
    stream = random.Random(1)
    counts = Counter(quantity_asked(stream, 2, 5) for _ in range(8_000))
    assert set(counts) == {2, 3, 4, 5}
    assert min(counts.values()) > 1_800
    before = stream.getstate()
    assert [quantity_asked(stream, 3, most) for most in (0, 3)] == [3, 3]
    assert stream.getstate() == before
