"""The order in which strategies are listed and coloured, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable

_REFERENCE = ("row_lock", "redis_lock", "redis_lua")  # these keep their places whatever else runs


def places(strategies: Iterable[str]) -> dict[str, int]:
    """Each strategy's place: the reference strategies first, then others by name."""
    others = sorted(set(strategies) - set(_REFERENCE))
    return {name: place for place, name in enumerate((*_REFERENCE, *others))}
