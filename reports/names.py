"""Names of files, made of names that users gave."""

from __future__ import annotations

import re


def file_name(text: str) -> str:
    """
    >>> file_name("flash_sale+redis_kill 1/2")
    'flash_sale+redis_kill_1_2'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text).lstrip(".") or "_"


class FileNames:
    """Names that stay different, whatever is left out of them."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, text: str) -> str:
        """One that was not given yet, upper and lower case alike."""
        first = name = file_name(text)
        number = 1
        while name.lower() in self._given:
            number += 1
            name = f"{first}-{number}"
        self._given.add(name.lower())
        return name
