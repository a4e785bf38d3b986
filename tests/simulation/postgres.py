"""Postgres as far as the guarded transaction needs it: row locks, READ COMMITTED, time limits, doubtful commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from tests.simulation.history import Commit, History, Request
from tests.simulation.rules import Rule
from tests.simulation.world import NEVER_MS, SOON, Cancelled, Kind, Steps, Task, World

TRANSACTION_LIMIT_MS = 2_000.0
Resource: TypeAlias = tuple[str, str]  # ("stock", sku), ("buyer", user) or ("key", key)


class PostgresFailed(Exception):  # noqa: N818
    """A statement failed and the transaction with it; COMMIT was not sent."""


class CommitInDoubt(Exception):  # noqa: N818
    """COMMIT was sent and its answer did not come."""


class CancelledInCommit(Cancelled):
    """Cancelled when COMMIT was already sent."""


class State(Enum):
    """Where a transaction stands."""

    OPEN = "open"
    COMMITTING = "committing"  # COMMIT is on its way
    IN_DOUBT = "in doubt"  # its client has given up on the answer; it will end by itself
    OVER = "over"


@dataclass(slots=True)
class StockRow:
    """A SKU's row."""

    initial: int
    remaining: int
    seq: int = 0
    fence: int = 0


@dataclass(slots=True, eq=False)
class Transaction:
    """What a transaction holds and will write; ``fence`` is the lock holder's token, None on the guarded path."""

    request: Request
    task: Task
    limit_at_ms: float
    fence: int | None = None
    state: State = State.OPEN
    locks: list[Resource] = field(default_factory=list)
    stock: StockRow | None = None
    bought: int | None = None
    inserts: bool = False


class Postgres:
    """The committed tables, and the locks of open transactions."""

    def __init__(self, world: World, history: History) -> None:
        self.world = world
        self.history = history
        self.stock = {sku: StockRow(units, units) for sku, units in history.initial.items()}
        self.orders: dict[str, Request] = {}
        self.bought: dict[str, int] = {}
        self.locks: dict[Resource, Transaction] = {}
        self.waiters: dict[Resource, list[Task]] = {}
        self.open: list[Transaction] = []
        self.late_commits = 0  # commits that came after their client had given up

    def begin(self, request: Request, fence: int | None = None) -> Transaction:
        """Open a transaction for the current task."""
        task = self.world.current
        assert task is not None
        bounded = self.world.obeys(Rule.TRANSACTION_IS_BOUNDED)
        limit_at_ms = self.world.now_ms + TRANSACTION_LIMIT_MS if bounded else NEVER_MS
        transaction = Transaction(request, task, limit_at_ms, fence)
        self.open.append(transaction)
        return transaction

    def read(self) -> Steps[None]:
        """The round trip of a read outside a transaction; PostgresFailed if it gets no answer."""
        yield SOON
        if self.world.chance(self.world.faults.statement):
            raise PostgresFailed

    def statement(self, transaction: Transaction) -> Steps[None]:
        """The round trip of one statement; PostgresFailed if the transaction is over or ends here."""
        yield SOON
        if transaction.state is State.OVER:
            raise PostgresFailed
        if self.world.now_ms > transaction.limit_at_ms or self.world.chance(self.world.faults.statement):
            self.world.tell("statement fails")
            self.roll_back(transaction)
            raise PostgresFailed

    def lock(self, transaction: Transaction, resource: Resource) -> Steps[None]:
        """Wait for a row; PostgresFailed past the transaction's limit."""
        while (owner := self.locks.get(resource)) is not None and owner is not transaction:
            if owner.state is State.OPEN and owner.limit_at_ms <= self.world.now_ms:
                self.world.tell(f"Postgres ends the transaction of {owner.task.name}, past its limit")
                self.roll_back(owner)
                continue
            if self.world.now_ms >= transaction.limit_at_ms:
                self.world.tell(f"times out waiting for {resource}")
                self.roll_back(transaction)
                raise PostgresFailed
            self.waiters.setdefault(resource, []).append(transaction.task)
            owner_ends_ms = owner.limit_at_ms if owner.state is State.OPEN else NEVER_MS
            yield min(transaction.limit_at_ms, owner_ends_ms)
            if transaction.state is State.OVER:
                raise PostgresFailed
        if owner is None:
            self.locks[resource] = transaction
            transaction.locks.append(resource)

    def commit(self, transaction: Transaction) -> Steps[None]:
        """Send COMMIT. CommitInDoubt if no answer comes: then it has happened, has not, or is still to be decided."""
        if transaction.state is State.OVER:
            raise CommitInDoubt
        transaction.state = State.COMMITTING
        try:
            yield SOON
            if self.world.chance(self.world.faults.commit):
                self.lose_sight_of(transaction)
                yield self.world.now_ms + self.world.between(0, 200)
                raise CommitInDoubt
        except Cancelled:
            if transaction.state is not State.IN_DOUBT:
                self.lose_sight_of(transaction)
            raise CancelledInCommit from None
        if transaction.state is State.COMMITTING:
            self.apply(transaction)

    def lose_sight_of(self, transaction: Transaction) -> None:
        """A COMMIT whose answer nobody hears: at once or later, done or not."""
        if transaction.state is State.OVER:
            return  # done while its client was stopped
        transaction.state = State.IN_DOUBT
        fate = self.world.random()
        if fate < 0.3:
            self.roll_back(transaction)
        elif fate < 0.6:
            self.apply(transaction)
        else:
            delay_ms = self.world.between(0, 4_000) if fate < 0.9 else 0.0
            name = f"commit of {transaction.request.name}"
            self.world.spawn(name, Kind.NETWORK, self._end_later(transaction), delay_ms=delay_ms)

    def _end_later(self, transaction: Transaction) -> Steps[None]:
        if self.world.random() < 0.6:
            self.late_commits += 1
            self.apply(transaction)
        else:
            self.roll_back(transaction)
        yield from ()  # a generator, as every task is

    def apply(self, transaction: Transaction) -> None:
        """The moment at which a transaction's writes become visible."""
        request = transaction.request
        assert transaction.state is not State.OVER
        if transaction.stock is not None:
            self.stock[request.sku] = transaction.stock
        if transaction.bought is not None:
            self.bought[request.user] = transaction.bought
        if transaction.inserts:
            self.orders[request.key] = request
            seq = transaction.stock.seq if transaction.stock else None
            self.history.add(Commit(request, transaction.fence, seq))
            self.world.tell(
                f"COMMITTED {request}: remaining {self.stock[request.sku].remaining}, fence {transaction.fence}"
            )
        self._end(transaction)

    def roll_back(self, transaction: Transaction) -> None:
        """Undo a transaction, whoever asks for it."""
        self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        if transaction.state is State.OVER:
            return
        transaction.state = State.OVER
        self.open.remove(transaction)
        for resource in transaction.locks:
            del self.locks[resource]
            for task in self.waiters.pop(resource, ()):
                task.wake_at_ms = SOON

    def owner_killed(self, task: Task) -> None:
        """A client process died: what it had open is rolled back, a COMMIT already sent may go either way."""
        for transaction in [each for each in self.open if each.task is task]:
            if transaction.state is State.COMMITTING:
                self.lose_sight_of(transaction)
            elif transaction.state is State.OPEN:
                self.roll_back(transaction)

    def owner_stalled(self, task: Task) -> None:
        """A client process was stopped: a COMMIT already sent goes on without it."""
        for transaction in [each for each in self.open if each.task is task]:
            if transaction.state is State.COMMITTING:
                self.apply(transaction)

    def hold_row(self, sku: str, length_ms: float) -> Steps[None]:
        """Somebody's session that keeps the stock row locked for a while (a fault)."""
        transaction = self.begin(Request("intruder", "-", sku, 0, "-"))
        transaction.limit_at_ms = NEVER_MS
        yield from self.lock(transaction, ("stock", sku))
        yield self.world.now_ms + length_ms
        self.roll_back(transaction)
