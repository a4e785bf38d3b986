"""If these fail, a percentile in a report is not one, or is shown where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.latency.percentiles import curve, least_samples, percentile

values = arrays(np.float64, st.integers(0, 600), elements=st.floats(0, 1e6))
shares = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999])


@given(values, shares)
def test_a_percentile_is_the_least_observed_value_with_its_share_at_or_below(found: np.ndarray, share: float) -> None:
    ordered = np.sort(found)
    value = percentile(ordered, share)

    if len(ordered) < least_samples(share):
        assert value is None
    else:
        assert value == np.percentile(ordered, 100 * share, method="inverted_cdf")


@given(shares)
def test_the_least_number_of_values_is_the_first_that_bounds_the_percentile(share: float) -> None:
    least = least_samples(share)

    assert 1 - share**least >= 0.975
    assert 1 - share ** (least - 1) < 0.975


@given(values)
def test_a_curve_rises_and_ends_where_the_values_support_it(found: np.ndarray) -> None:
    ordered = np.sort(found)
    points = curve(ordered)

    if len(ordered) < least_samples(0.5):
        assert points == []
        return
    assert points == sorted(points)
    assert len(ordered) >= least_samples(points[-1][0]) - 1
    assert {value for _, value in points} <= set(ordered)


@pytest.mark.parametrize(("share", "least"), [(0.5, 6), (0.95, 72), (0.99, 368), (0.999, 3688)])
def test_thresholds_are_those_that_the_documentation_names(share: float, least: int) -> None:
    assert least_samples(share) == least
