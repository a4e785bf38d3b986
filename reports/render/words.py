"""Words and numbers as every form of the report shows them."""

from __future__ import annotations

import math

from reports.latency.statistics import Estimate

MEANING = (
    "A PASS proves that nothing was oversold, lost, invented, doubled or leaked in the recorded execution. For the "
    "implementation in general it is evidence, as strong as the contention was and as the broken strategies that the "
    "same checks caught."
)
NONE = "–"
_PERCENT = " %"


def in_so_many(count: int, of: int) -> str:
    """What follows a figure that is not of all.

    >>> in_so_many(9, 10), in_so_many(10, 10)
    (' in 9 of 10', '')
    """
    return f" in {count} of {of}" if count < of else ""


def share(value: Estimate | None) -> str:
    """A share in per cent, with its interval if there is one."""
    if value is None:
        return NONE
    mean, least, greatest = (exact_percent(each) for each in (value.mean, value.least, value.greatest))
    within = f"{least.removesuffix(_PERCENT)}–{greatest.removesuffix(_PERCENT)}"
    return mean if value.n == 1 or least == greatest else f"{mean} ({within})"


def exact_percent(value: float) -> str:
    """Rounded down, so that what is a little less never looks as if it were not; more precise from 99 % on."""
    digits = 2 if value >= 0.99 else 1
    text = f"{math.floor(100 * value * 10**digits + 1e-6) / 10**digits:.{digits}f}"
    return ("100" if value >= 1 else text) + _PERCENT


def estimate(value: Estimate | None, digits: int, unit: str = "") -> str:
    """The mean, with its interval if there are several repetitions."""
    if value is None:
        return NONE
    mean = f"{value.mean:,.{digits}f}{unit}"
    if value.n == 1:
        return mean
    least, greatest = f"{value.least:,.{digits}f}", f"{value.greatest:,.{digits}f}"
    return mean if least == greatest else f"{mean} ({least}–{greatest})"


def milliseconds(value: float | None) -> str:
    """Three significant digits; a dash where there are too few values to say."""
    if value is None:
        return NONE
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"
