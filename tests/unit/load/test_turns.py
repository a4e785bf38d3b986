"""A series of strategies must not hide the one that failed."""

import pytest

from flashbench.load.turns import worst


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0], 0),
        ([0, 12, 0], 12),
        ([12, 11], 11),
        ([11, 10, 0], 10),
        ([0, 2], 2),
        ([0, 1], 11),
        ([0, -9], 11),
        ([], 11),
    ],
)
def test_the_worst_code_decides(codes: list[int], expected: int) -> None:
    assert worst(codes) == expected
