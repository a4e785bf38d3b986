"""If these fail, a sale in which nobody met anybody counts as a test, or one that was a test does not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.judging.contention import joined, most_at_once

INTERVALS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=12)


@given(INTERVALS)
def test_those_of_one_key_that_overlap_count_once(drawn: list[tuple[int, int, int]]) -> None:
    keys, starts, lengths = (np.array(column, np.int64) for column in zip(*drawn, strict=True))
    at_each_start = [
        len({key for key, start, length in drawn if start <= moment <= start + length}) for moment in starts.tolist()
    ]
    assert most_at_once(*joined(keys, starts, starts + lengths)) == max(at_each_start)


def test_an_interval_without_an_end_lasts() -> None:
    never = np.iinfo(np.int64).max
    keys, starts, ends = np.array([1, 1, 2]), np.array([0, 5, 90]), np.array([never, 6, 91])
    assert most_at_once(*joined(keys, starts, ends)) == 2
