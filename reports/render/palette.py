"""One colour a strategy, the same in every picture, told apart by colour-blind readers too.

The hues are those of Okabe and Ito, "Color Universal Design", 2008, less black and yellow, which vanish on one of the
two backgrounds; dashes tell lines apart without any colour.
"""

from __future__ import annotations

_HUES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 1), (4, 1))


def colour(place: int) -> str:
    """A hue; after the last it begins again, with other dashes."""
    return _HUES[place % len(_HUES)]


def dashes(place: int) -> tuple[int, ...]:
    """A dash pattern in points, empty for a solid line."""
    return _DASHES[(place + place // len(_HUES)) % len(_DASHES)]
