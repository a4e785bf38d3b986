"""What happened, in order: the only thing that the verdict on a run looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from flashbench.vocabulary import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One try of a purchase as a worker gets it."""

    name: str
    key: str
    sku: str
    quantity: int
    user: str

    @property
    def purchase(self) -> tuple[str, str, int, str]:
        """Key and body: what makes two tries the same purchase."""
        return self.key, self.sku, self.quantity, self.user

    def __str__(self) -> str:
        return f"{self.name}: key {self.key}, {self.quantity} x {self.sku} for {self.user}"


@dataclass(frozen=True, slots=True)
class Commit:
    """An order became visible; ``fence`` is null on the guarded path."""

    request: Request
    fence: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker answered, whether or not anybody still listened."""

    request: Request
    outcome: Outcome


Purchase: TypeAlias = tuple[str, str, int, str]
Event: TypeAlias = Commit | Answer


@dataclass(slots=True)
class History:
    """The sale and its events in order."""

    initial: dict[str, int]
    per_user_limit: int
    events: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Append an event that happens now."""
        self.events.append(event)
