"""One colour a strategy, the same in every picture, told apart by colour-blind readers too.

The hues are those of Okabe and Ito, "Color Universal Design", 2008, less black and yellow, which vanish on one of the
two backgrounds; dashes tell lines apart without any colour.
"""

from __future__ import annotations

from collections.abc import Iterable

_HUES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 1), (4, 1))
_REFERENCE = ("row_lock", "redis_lock", "redis_lua")  # these keep their places whatever else runs


def places(strategies: Iterable[str]) -> dict[str, int]:
    """Each strategy's place: the reference strategies first, then others by name."""
    others = sorted(set(strategies) - set(_REFERENCE))
    return {name: place for place, name in enumerate((*_REFERENCE, *others))}


def colour(place: int) -> str:
    """A hue; after the last it begins again, with other dashes."""
    return _HUES[place % len(_HUES)]


def dashes(place: int) -> tuple[int, ...]:
    """A dash pattern in points, empty for a solid line."""
    return _DASHES[(place + place // len(_HUES)) % len(_DASHES)]
