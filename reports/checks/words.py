"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count and its noun.

    >>> counted(1, "order"), counted(2, "order"), counted(3, "key has", "keys have")
    ('1 order', '2 orders', '3 keys have')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"
