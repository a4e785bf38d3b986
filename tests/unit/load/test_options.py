"""The web UI sends anything; what is not checked here ends as a traceback in the middle of a run."""

from typing import Any

import pytest

from flashbench.errors import UsageError
from flashbench.load.options import LoadOptions, check_ramp, defaults, frozen, parameter_names


def test_nothing_given_is_the_defaults() -> None:
    assert frozen({}) == LoadOptions()


def test_no_default_is_none() -> None:
    assert None not in defaults().values()


def test_strings_of_the_web_ui_become_numbers() -> None:
    options = frozen({"stock": " 7 ", "think_ms": "1.5", "twin_share": "0", "strategy": " naive ", "host": "x"})
    assert (options.stock, options.think_ms, options.twin_share, options.strategy) == (7, 1.5, 0.0, "naive")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stock", ""),
        ("stock", "-1"),
        ("stock", "1.5"),
        ("stock", "9" * 30),
        ("stock", "²"),
        ("stock", True),
        ("quantity", 0),
        ("quantity_up_to", -1),
        ("tabs", 0),
        ("tabs", 33),
        ("skus", 0),
        ("skus", 10**6),
        ("per_user_limit", -1),
        ("seed", "x"),
        ("attempts", 0),
        ("think_ms", "nan"),
        ("think_ms", -1),
        ("twin_share", 1.1),
        ("read_share", "inf"),
        ("strategy", "  "),
        ("evidence", ""),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        frozen({name: value})
    assert "--" + name.replace("_", "-") in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_a_limit_below_the_quantity_lets_nobody_buy() -> None:
    with pytest.raises(UsageError, match="nobody could buy"):
        frozen({"per_user_limit": 1, "quantity": 2})
    assert frozen({"per_user_limit": 2, "quantity": 2}).per_user_limit == 2


def test_a_ramp_longer_than_the_run_is_refused() -> None:
    with pytest.raises(UsageError, match="-r 200"):
        check_ramp(200, 1, 4)
    check_ramp(200, 200, 1)
    check_ramp(200, 1, 0)
    check_ramp(1, 1, 1)


def test_every_parameter_of_a_suite_is_an_option() -> None:
    assert set(parameter_names()) <= set(defaults())


def test_a_range_of_quantities_must_not_end_before_it_begins() -> None:
    assert frozen({"quantity": 3, "quantity_up_to": 0}).quantity_up_to == 0
    with pytest.raises(UsageError, match="--quantity-up-to 2 is less than --quantity 3"):
        frozen({"quantity": 3, "quantity_up_to": 2})
