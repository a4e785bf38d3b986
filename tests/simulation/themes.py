"""What a run is about: which faults it draws, and how often."""

from __future__ import annotations

from enum import Enum
from random import Random

from tests.simulation.protocols import ProtocolName
from tests.simulation.world import Faults


class Theme(Enum):
    """What a run is about. The narrow ones reach interleavings that a mix of everything hides."""

    ANYTHING = "any mix of faults"
    COMMITS_IN_DOUBT = "commits in doubt while counters are seeded"
    COMMANDS_LATE = "late commands while counters are seeded"
    SEEDS_ONLY = "no fault at all, but counters are seeded all the time"
    LEASES_OUTLIVED = "stopped requests and lost data, so that many believe to hold one lock"


THEMES = {
    ProtocolName.REDIS_LUA: (
        Theme.ANYTHING,
        Theme.ANYTHING,
        Theme.COMMITS_IN_DOUBT,
        Theme.COMMANDS_LATE,
        Theme.SEEDS_ONLY,
    ),
    ProtocolName.REDIS_LOCK: (Theme.ANYTHING, Theme.LEASES_OUTLIVED),
}


def draw_faults(theme: Theme, rng: Random) -> Faults:
    """How often things go wrong. In a mix each fault is left out or drawn: runs with few kinds reach deeper."""

    def rate(most: float) -> float:
        return most * rng.random() if rng.random() < 0.5 else 0.0

    match theme:
        case Theme.ANYTHING:
            return Faults(stall=rate(0.04), cancel=rate(0.02), redis=rate(0.25), statement=rate(0.06), commit=rate(0.4))
        case Theme.COMMITS_IN_DOUBT:
            return Faults(commit=0.7)
        case Theme.COMMANDS_LATE:
            return Faults(late=0.35)
        case Theme.SEEDS_ONLY:
            return Faults()
        case Theme.LEASES_OUTLIVED:
            return Faults(stall=0.05)
