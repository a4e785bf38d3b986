"""A world of coroutines that runs one atomic step at a time, in an order drawn from a seed.

A task is a generator. Each ``yield`` is a point where anything else may happen: other tasks, a stall, a cancellation,
a kill. What it yields is the moment, in virtual milliseconds, from which it may go on (0: at once). Nothing reads a
real clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, TypeAlias, TypeVar

from tests.simulation.findings import Finding
from tests.simulation.rules import Rule

T = TypeVar("T")
Steps: TypeAlias = Generator[float, None, T]
NEVER_MS = float("inf")
SOON = 0.0  # yielded by a task that may go on at once


class Cancelled(Exception):  # noqa: N818 - named as asyncio names it
    """Thrown into a request whose client went away."""


def shielded(steps: Steps[T]) -> Steps[T]:
    """Run ``steps`` to their end whatever is cancelled meanwhile; then be cancelled."""
    cancelled = False
    try:
        wake_at_ms = next(steps)
        while True:
            try:
                yield wake_at_ms
            except Cancelled:
                cancelled = True
            wake_at_ms = next(steps)
    except StopIteration as end:
        if cancelled:
            raise Cancelled from None
        result: T = end.value
        return result


class Kind(Enum):
    """What a task is, which decides which faults may hit it and whether the end waits for it."""

    CLIENT = "client"
    REQUEST = "request"
    KEEPER = "keeper"  # a worker's background task; endless
    NETWORK = "network"  # a command that was sent and has yet to arrive
    CHAOS = "chaos"


@dataclass(slots=True)
class Faults:
    """How often things go wrong, per step or per call; all zero once healed."""

    stall: float = 0.0  # per step of a request or keeper
    cancel: float = 0.0  # per step of a request
    redis: float = 0.0  # per command: it or its answer is lost, or it comes late
    late: float = 0.0  # per command: it comes soon after its sender has given up
    statement: float = 0.0
    commit: float = 0.0


class Task:
    """A coroutine with the moment from which it may run."""

    __slots__ = ("ask_cancel", "kind", "name", "stalled", "steps", "wake_at_ms", "worker")

    def __init__(self, name: str, kind: Kind, steps: Steps[Any], worker: int | None, wake_at_ms: float) -> None:
        self.name = name
        self.kind = kind
        self.steps = steps
        self.worker = worker
        self.wake_at_ms = wake_at_ms
        self.stalled = False
        self.ask_cancel = False


class World:
    """Scheduler, clock and story. ``broken`` are the rules this run does without."""

    def __init__(self, seed: int, broken: frozenset[Rule], *, telling: bool) -> None:
        self.rng = Random(seed)
        self.random = self.rng.random
        self.broken = broken
        self.telling = telling
        self.story: list[str] = []
        self.now_ms = 0.0
        self.steps = 0
        self.pace_ms = 10.0  # the most that one step takes
        self.sticky = 0.0  # how often the same task goes on at once, so that some run far ahead of others
        self.faults = Faults()
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.buried: list[Task] = []  # kept referenced: a collected generator would run its clean-up
        self.on_kill: Callable[[Task], None] = lambda task: None
        self.on_stall: Callable[[Task], None] = lambda task: None
        self.after_step: Callable[[], None] = lambda: None
        self.names = 0
        self.findings: dict[Finding, str] = {}

    def obeys(self, rule: Rule) -> bool:
        """Whether this run keeps ``rule``."""
        return rule not in self.broken

    def tell(self, text: str) -> None:
        """Add a line to the story, if anyone listens."""
        if self.telling:
            who = self.current.name if self.current else "-"
            self.story.append(f"{self.now_ms:8.0f} ms  {who:<14} {text}")

    def accuse(self, finding: Finding, text: str) -> None:
        """Something is wrong at this step. The first of each kind is kept, and the run goes on."""
        if finding not in self.findings:
            self.findings[finding] = text
            self.tell(f"*** {finding.name}: {text}")

    def check_wait(self, wait_ms: float, limit_ms: float) -> None:
        """A wait that the current task asks for, counted from its beginning, must not pass its limit."""
        if wait_ms > limit_ms + 1.0 and self.current is not None:
            self.accuse(Finding.WAITED_TOO_LONG, f"{self.current.name} waits {wait_ms:.0f} ms")

    def fresh(self, prefix: str) -> str:
        """A name never used before: tokens and nonces are random in reality, so never equal."""
        self.names += 1
        return f"{prefix}{self.names}"

    def between(self, low_ms: float, high_ms: float) -> float:
        """A random length of time."""
        return low_ms + (high_ms - low_ms) * self.random()

    def chance(self, probability: float) -> bool:
        """True with this probability; draws nothing if it is 0."""
        return probability > 0.0 and self.random() < probability

    def spawn(
        self, name: str, kind: Kind, steps: Steps[Any], *, worker: int | None = None, delay_ms: float = 0.0
    ) -> Task:
        """Start a task."""
        task = Task(name, kind, steps, worker, self.now_ms + delay_ms)
        self.tasks.append(task)
        return task

    def kill(self, task: Task) -> None:
        """End a task as kill -9 does: none of its clean-up runs."""
        self.tell(f"KILLED {task.name}")
        self.tasks.remove(task)
        self.buried.append(task)
        self.on_kill(task)

    def step(self) -> None:
        """Run one step of one task that is ready, or let time pass until one is."""
        tasks, now_ms = self.tasks, self.now_ms
        ready = [task for task in tasks if task.wake_at_ms <= now_ms]
        if not ready:
            self.now_ms = min(task.wake_at_ms for task in tasks)
            return
        task = self.current
        if task not in ready or self.random() >= self.sticky:
            task = ready[int(self.random() * len(ready))]
        assert task is not None
        self.now_ms = now_ms + self.pace_ms * self.random()
        self.steps += 1
        self.current = task
        if self._hit_by_fault(task):
            return
        try:
            if task.ask_cancel:
                task.ask_cancel = False
                self.tell("CANCELLED")
                task.wake_at_ms = task.steps.throw(Cancelled())
            else:
                task.wake_at_ms = next(task.steps)
        except (StopIteration, Cancelled):  # cancelled before it began
            tasks.remove(task)
        self.after_step()

    def _hit_by_fault(self, task: Task) -> bool:
        faults = self.faults
        if task.kind is Kind.REQUEST:
            if self.chance(faults.cancel):
                task.ask_cancel = True
        elif task.kind is not Kind.KEEPER:
            return False
        if self.chance(faults.stall):
            length_ms = self.between(50, 700) if self.random() < 0.5 else self.between(2_500, 12_000)
            task.stalled = True
            task.wake_at_ms = self.now_ms + length_ms
            self.tell(f"STALLS for {length_ms:.0f} ms")
            self.on_stall(task)
            return True
        return False

    def running(self, *kinds: Kind) -> bool:
        """Whether a task of one of these kinds is left."""
        return any(task.kind in kinds for task in self.tasks)
