"""If these fail, a figure looks better than it is, or a name is taken for a formula."""

from __future__ import annotations

import numpy as np
import pytest

from reports.render.drawing import canvas, finished
from reports.render.panels import mean
from reports.render.words import exact_percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1, "100"), (0.999_999, "99.99"), (0.99, "99.00"), (0.989_6, "98.9"), (0.5, "50.0"), (0.29, "29.0"), (0, "0.0")],
)
def test_a_share_is_rounded_down(value: float, shown: str) -> None:
    assert exact_percent(value)[:-2] == shown


def test_a_name_is_no_formula() -> None:
    with canvas(1.0) as figure:
        figure.text(0.1, 0.5, "Replies of Redis to $4 and $_{ dropped")
        assert "to $4 and $_{ dropped" in finished(figure, "names", "names", "names").svg


def test_a_line_that_ends_early_cuts_nobody_elses_short() -> None:
    means = mean([np.array([1.0, 3.0]), np.array([3.0, np.nan, 5.0])])
    assert means.tolist() == [2.0, 3.0, 5.0]
