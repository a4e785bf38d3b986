"""A worker process: what it believes of Redis, and what it owes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.world import World


@dataclass(slots=True)
class Worker:
    """``owed``: SKUs that it sold without Redis knowing, each with a stamp that changes whenever more is owed."""

    number: int
    world: World
    away_until_ms: float = 0.0
    returning: bool = False  # the breaker was open and what is owed is not yet seeded
    owed: dict[str, str] = field(default_factory=dict)

    @property
    def believes(self) -> bool:
        """Whether requests of this worker use Redis."""
        return not self.returning and self.world.now_ms >= self.away_until_ms

    def trip(self, length_ms: float) -> None:
        """Believe Redis away for a while."""
        self.away_until_ms = max(self.away_until_ms, self.world.now_ms + length_ms)
        self.returning = True

    def command_failed(self) -> None:
        """One command got no answer: perhaps enough for the breaker."""
        if self.world.random() < 0.4:
            self.world.tell(f"worker {self.number} believes Redis away")
            self.trip(self.world.between(300, 600))
