"""What a check says: held, broken or undecided, one sentence, its numbers, and on failure who did it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from reports.checks.history import NOBODY, Positions
from reports.checks.story import Story

Numbers = Mapping[str, int | float | str | None]


class Status(StrEnum):
    """Of an invariant, after the evidence was read."""

    HELD = "held"
    BROKEN = "broken"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """``tries`` and ``rows`` are positions of all offenders in the history's tries and ledger."""

    status: Status
    sentence: str
    numbers: Numbers = field(default_factory=dict)
    tries: Positions = field(default_factory=lambda: NOBODY)
    rows: Positions = field(default_factory=lambda: NOBODY)
    offending: int = 0
    story: Story | None = None

    @classmethod
    def held(cls, sentence: str, numbers: Numbers) -> Self:
        """The evidence shows that the invariant held."""
        return cls(Status.HELD, sentence, numbers)

    @classmethod
    def broken(
        cls,
        sentence: str,
        numbers: Numbers,
        *,
        tries: Positions = NOBODY,
        rows: Positions = NOBODY,
        offending: int | None = None,
        story: Story,
    ) -> Self:
        """The evidence shows that the invariant was broken, whatever may be missing. ``story`` shows it by itself."""
        total = len(tries) + len(rows) if offending is None else offending
        return cls(Status.BROKEN, sentence, numbers, tries, rows, total, story)

    @classmethod
    def undecided(cls, sentence: str, numbers: Numbers | None = None) -> Self:
        """The evidence shows neither."""
        return cls(Status.UNDECIDED, sentence, numbers or {})
