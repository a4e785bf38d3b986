"""Redis as a process behind a network: commands get lost, or lose their answer, or arrive much later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tests.simulation.world import SOON, Cancelled, Kind, Steps, World

COMMAND_LIMIT_MS = 150.0
T = TypeVar("T")


class RedisAway(Exception):  # noqa: N818
    """No answer; the command may have been executed, or may be yet."""


class Data(Protocol):
    """What a strategy keeps in Redis."""

    def copy(self: D) -> D:
        """An independent copy, for a snapshot."""


D = TypeVar("D", bound=Data)


class Breakable(Protocol):
    """What faults need of a Redis, whatever its data."""

    losses: int
    hangs_until_ms: float
    down_until_ms: float

    def flush(self) -> None:
        """Lose everything."""

    def snapshot(self) -> None:
        """Keep the data of this moment."""

    def roll_back(self) -> None:
        """Go back to a snapshot, if there is one."""


class Redis(Generic[D]):
    """A server with the data of one sale. Commands are functions of the data, executed atomically."""

    def __init__(self, world: World, empty: Callable[[], D]) -> None:
        self.world = world
        self.empty = empty
        self.data = empty()
        self.snapshots: list[D] = []
        self.losses = 0  # flushes and rollbacks so far
        self.hangs_until_ms = 0.0  # stopped: commands queue up and are executed when it goes on
        self.down_until_ms = 0.0  # refuses connections

    def call(self, label: str, command: Callable[[D], T]) -> Steps[T]:
        """Send a command and wait for its answer; RedisAway if none comes in time."""
        world = self.world
        try:
            yield SOON
        except Cancelled:
            if world.random() < 0.5:
                world.tell(f"{label} (cancelled, executed) -> {command(self.data)}")
            raise
        if world.now_ms < self.down_until_ms:
            raise RedisAway
        if world.now_ms < self.hangs_until_ms:
            arrives_in_ms = self.hangs_until_ms - world.now_ms
            yield from self._time_out(label, command, arrives_in_ms if world.random() < 0.7 else None)
        if world.chance(world.faults.redis):
            fate = world.random()
            if fate < 0.15:
                raise RedisAway
            if fate < 0.35:
                yield from self._time_out(label, command, None)
            if fate < 0.65:
                command(self.data)
                yield from self._time_out(f"{label} (executed)", command, None)
            yield from self._time_out(label, command, world.between(0, 400 if fate < 0.85 else 6_000))
        if world.chance(world.faults.late):
            yield from self._time_out(label, command, world.between(100, 700))
        reply = command(self.data)
        if world.telling:
            world.tell(f"{label} -> {reply}")
        return reply

    def _time_out(self, label: str, command: Callable[[D], T], arrives_in_ms: float | None) -> Steps[None]:
        self.world.tell(f"{label}: no answer")
        if arrives_in_ms is not None:
            self.world.spawn(f"late {label}", Kind.NETWORK, self._arrive(label, command), delay_ms=arrives_in_ms)
        yield self.world.now_ms + COMMAND_LIMIT_MS
        raise RedisAway

    def _arrive(self, label: str, command: Callable[[D], T]) -> Steps[None]:
        self.world.tell(f"{label} executes late -> {command(self.data)}")
        yield from ()  # a generator, as every task is

    def flush(self) -> None:
        """Lose everything."""
        self.losses += 1
        self.data = self.empty()

    def snapshot(self) -> None:
        """Keep the data of this moment, as a dump file or a replica that lags does."""
        self.snapshots.append(self.data.copy())

    def roll_back(self) -> None:
        """Restart from an old snapshot, or promote a stale replica: the same thing."""
        if self.snapshots:
            self.losses += 1
            self.data = self.world.rng.choice(self.snapshots).copy()
