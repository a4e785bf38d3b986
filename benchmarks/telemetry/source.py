"""What a source of telemetry is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """One value: of what (``subject``, empty if there is but one), which ``metric`` (its unit in its name)."""

    subject: str
    metric: str
    value: float


class Source(Protocol):
    """Something that can be read ten times a second. ``name`` stands in the evidence."""

    name: str

    def read(self) -> Iterable[Reading]:
        """The values at this moment; those that can't be had now are left out. Must not take longer than a tick."""

    def close(self) -> None:
        """Let go of connections."""
