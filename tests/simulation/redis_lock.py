"""`redis_lock` as a state machine: a lock with a lease and a fencing token around the guarded transaction."""

from __future__ import annotations

from dataclasses import dataclass

from flashbench.vocabulary import Outcome
from tests.simulation.findings import Finding
from tests.simulation.guarded_transaction import OUTCOMES, Deed, commit_guarded
from tests.simulation.history import Commit, Request
from tests.simulation.network import Redis, RedisAway
from tests.simulation.postgres import TRANSACTION_LIMIT_MS, Postgres, PostgresFailed, State
from tests.simulation.rules import Rule
from tests.simulation.worker import Worker
from tests.simulation.world import NEVER_MS, Cancelled, Steps, Task, World, shielded

WAIT_LIMIT_MS = 300.0
LEASE_MS = 3_000.0
BUSY = -1
MISSING = -2


@dataclass(frozen=True, slots=True)
class Lock:
    """Whose it is, and until when."""

    owner: str
    lease_ends_ms: float


class LockData:
    """The locks and the token counters by SKU."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.locks: dict[str, Lock] = {}
        self.tokens: dict[str, int] = {}

    def copy(self) -> LockData:
        """An independent copy."""
        copy = LockData(self.world)
        copy.locks = dict(self.locks)
        copy.tokens = dict(self.tokens)
        return copy

    def lock_of(self, sku: str) -> Lock | None:
        """The lock, unless its lease is over."""
        lock = self.locks.get(sku)
        return lock if lock is not None and lock.lease_ends_ms > self.world.now_ms else None


@dataclass(slots=True)
class Grip:
    """What a request knows of its own lock."""

    owner: str
    sent: bool = False  # an acquire was sent, so the lock may be ours
    unanswered: bool = False  # some command of this request got no answer


@dataclass(slots=True)
class Grant:
    """A lock as the server granted it; kept outside Redis, by the checks only."""

    owner: str
    token: int
    lease_ends_ms: float
    losses: int
    task: Task | None
    released: bool = False


class RedisLock:
    """The strategy in every worker, over one Redis and one Postgres."""

    def __init__(self, world: World, postgres: Postgres) -> None:
        self.world = world
        self.postgres = postgres
        self.limit = postgres.history.per_user_limit
        self.redis: Redis[LockData] = Redis(world, lambda: LockData(world))
        self.lease_ms = LEASE_MS if world.obeys(Rule.LEASE_OUTLIVES_TRANSACTION) else TRANSACTION_LIMIT_MS / 4
        self.waiters: dict[str, list[Task]] = {sku: [] for sku in postgres.stock}
        self.grants: dict[str, Grant] = {}

    # Scripts ------------------------------------------------------------------------------------------------------

    def _acquire(self, data: LockData, sku: str, owner: str, task: Task | None) -> int:
        """Lock and lease in one step. The token, or BUSY, or MISSING (not locked) if there is no token counter."""
        if data.lock_of(sku) is not None:
            return BUSY
        if sku not in data.tokens and self.world.obeys(Rule.COUNTER_RAISED_ON_LOSS):
            return MISSING
        return self._grant(data, sku, owner, task)

    def _raise(self, data: LockData, sku: str, owner: str, fence: int, task: Task | None) -> int:
        """Raise the token counter to the fence, then acquire, unless the lock is somebody else's."""
        own = data.tokens.get(sku, 0)
        if self.world.obeys(Rule.COUNTER_RAISED_ON_LOSS):
            data.tokens[sku] = max(own, fence) if self.world.obeys(Rule.COUNTER_RAISED_TO_MAX) else fence
        lock = data.lock_of(sku)
        if lock is not None and lock.owner != owner:
            return BUSY
        return self._grant(data, sku, owner, task)

    def _grant(self, data: LockData, sku: str, owner: str, task: Task | None) -> int:
        data.tokens[sku] = token = data.tokens.get(sku, 0) + 1
        leased = self.world.obeys(Rule.LOCK_EXPIRES)
        data.locks[sku] = Lock(owner, self.world.now_ms + self.lease_ms if leased else NEVER_MS)
        self._check_grant(sku, owner, token, task)
        return token

    def _set_lease(self, data: LockData, sku: str, owner: str) -> str:
        """Only for the variant that sets the lease in a command of its own."""
        data.locks[sku] = Lock(owner, self.world.now_ms + self.lease_ms)
        return "leased"

    def _release(self, data: LockData, sku: str, owner: str) -> str:
        """Delete the lock if it is the caller's, and wake one who waits."""
        lock = data.locks.get(sku)
        if lock is None or (lock.owner != owner and self.world.obeys(Rule.RELEASE_BY_OWNER)):
            return "not mine"
        del data.locks[sku]
        grant = self.grants.get(sku)
        if grant is not None and grant.owner == owner:
            grant.released = True
        if self.waiters[sku]:
            self.waiters[sku].pop(0).wake_at_ms = self.world.now_ms
        return "released"

    # A purchase ---------------------------------------------------------------------------------------------------

    def buy(self, worker: Worker, request: Request) -> Steps[Outcome]:
        """One request: by the lock, or by the guarded path where the lock cannot be had."""
        if not worker.believes:
            deed = yield from self._commit(request, locked=self.world.obeys(Rule.ONE_GUARD_IN_EVERY_MODE))
            return OUTCOMES[deed]
        grip = Grip(self.world.fresh("o"))
        try:
            deed_by_lock, released = yield from self._buy_by_lock_and_release(worker, request, grip)
        except Cancelled:
            self._check_left_behind(request, grip)
            raise
        self._check_left_behind(request, grip)
        if not released and not self.world.obeys(Rule.FAILED_RELEASE_KEEPS_ANSWER):
            return Outcome.FAILED
        if deed_by_lock is None:
            deed_by_lock = yield from self._commit(request)
        return OUTCOMES[deed_by_lock]

    def _buy_by_lock_and_release(self, worker: Worker, request: Request, grip: Grip) -> Steps[tuple[Deed | None, bool]]:
        always = self.world.obeys(Rule.RELEASE_ALWAYS)
        try:
            deed = yield from self._buy_by_lock(worker, request, grip)
        except Cancelled:
            if always:
                yield from self._let_go(worker, request, grip)
            raise
        if deed is None and not always:
            return deed, True
        return deed, (yield from self._let_go(worker, request, grip))

    def _commit(self, request: Request, fence: int | None = None, *, locked: bool = True) -> Steps[Deed]:
        return commit_guarded(self.postgres, request, per_user_limit=self.limit, fence=fence, locked=locked)

    def _buy_by_lock(self, worker: Worker, request: Request, grip: Grip) -> Steps[Deed | None]:
        """None if the guarded path is to be taken."""
        sku = request.sku
        try:
            token = yield from self._wait_for_lock(request, grip)
            if token == MISSING:
                yield from self.postgres.read()
                token = yield from self._raise_counter(request, grip, self.postgres.stock[sku].fence)
            for refused_before in (False, True):
                if token < 0:
                    return None
                if not self.world.obeys(Rule.RELEASE_AFTER_COMMIT):
                    yield from self._let_go(worker, request, grip)
                deed = yield from self._commit(request, token)
                if deed is not Deed.FENCED:
                    return deed
                if not refused_before:
                    token = yield from self._raise_counter(request, grip, self.postgres.stock[sku].fence)
        except RedisAway:
            grip.unanswered = True
            worker.command_failed()
        except PostgresFailed:
            return Deed.NO_EFFECT
        return None

    def _wait_for_lock(self, request: Request, grip: Grip) -> Steps[int]:
        """The token, BUSY after waiting, or MISSING."""
        started_ms = self.world.now_ms
        sku, task = request.sku, self.world.current
        while True:
            grip.sent = True
            token = yield from self.redis.call(
                f"ACQUIRE {grip.owner}", lambda data: self._acquire(data, sku, grip.owner, task)
            )
            if token != BUSY:
                if token > 0 and not self.world.obeys(Rule.LOCK_EXPIRES):
                    yield from self.redis.call("PEXPIRE", lambda data: self._set_lease(data, sku, grip.owner))
                return token
            gives_up_ms = started_ms + WAIT_LIMIT_MS
            if not self.world.obeys(Rule.WAIT_FOR_LOCK_IS_BOUNDED):
                gives_up_ms = NEVER_MS
            if self.world.now_ms >= gives_up_ms:
                return token
            lock = self.redis.data.lock_of(sku)  # its remaining lease comes with the answer
            assert task is not None
            self.waiters[sku].append(task)
            wakes_ms = min(gives_up_ms, lock.lease_ends_ms if lock is not None else self.world.now_ms)
            self.world.check_wait(wakes_ms - started_ms, WAIT_LIMIT_MS)
            yield wakes_ms

    def _raise_counter(self, request: Request, grip: Grip, fence: int) -> Steps[int]:
        task = self.world.current
        return (
            yield from self.redis.call(
                f"RAISE to {fence}, ACQUIRE {grip.owner}",
                lambda data: self._raise(data, request.sku, grip.owner, fence, task),
            )
        )

    def _let_go(self, worker: Worker, request: Request, grip: Grip) -> Steps[bool]:
        """Release what may be held; shielded; False if Redis did not answer."""
        if not grip.sent:
            return True
        command = self.redis.call(f"RELEASE {grip.owner}", lambda data: self._release(data, request.sku, grip.owner))
        try:
            yield from shielded(command) if self.world.obeys(Rule.RELEASE_SHIELDED) else command
        except RedisAway:
            grip.unanswered = True
            worker.command_failed()
            return False
        return True

    def keep(self, worker: Worker) -> Steps[None]:
        """One round of a worker's background task: only the breaker's return, nothing is owed to a lock."""
        if worker.returning and self.world.now_ms >= worker.away_until_ms:
            yield from self._probe(worker)

    def _probe(self, worker: Worker) -> Steps[None]:
        try:
            yield from self.redis.call("PING", lambda data: "PONG")
        except RedisAway:
            worker.command_failed()
        else:
            worker.returning = False

    def reconcile(self, worker: Worker) -> Steps[None]:
        """There is no counter."""
        yield from ()

    # Checks -------------------------------------------------------------------------------------------------------

    def _check_grant(self, sku: str, owner: str, token: int, task: Task | None) -> None:
        """A lock is granted: nobody else may lawfully have it, and its token must be new."""
        world, losses = self.world, self.redis.losses
        before = self.grants.get(sku)
        if before is not None and before.losses == losses:
            if token <= before.token:
                world.accuse(Finding.TOKEN_TWICE, f"{sku}: {token} after {before.token}")
            if before.owner != owner and not before.released and world.now_ms < before.lease_ends_ms:
                world.accuse(Finding.LOCK_TAKEN, f"{sku}: {owner} has it, {before.owner} had it")
            if before.task is not task and before.task is not None and not before.task.stalled:
                for transaction in self.postgres.open:
                    if (
                        transaction.task is before.task
                        and transaction.fence == before.token
                        and transaction.state is State.OPEN
                        and world.now_ms < transaction.limit_at_ms
                    ):
                        world.accuse(Finding.TWO_HOLDERS, f"{sku}: {owner} has it, {before.owner} is writing")
        self.grants[sku] = Grant(owner, token, self.world.now_ms + self.lease_ms, losses, task)

    def _check_left_behind(self, request: Request, grip: Grip) -> None:
        """A request that always got its answers from Redis must not end with its lock still there."""
        lock = self.redis.data.locks.get(request.sku)
        if lock is not None and lock.owner == grip.owner and not grip.unanswered:
            self.world.accuse(Finding.LOCK_LEFT_BEHIND, f"{request.sku}: {grip.owner}")

    def check_step(self) -> None:
        """Grants are checked as they happen."""

    def check_rest(self, *, exact: bool) -> None:
        """What must hold when nothing has been in flight for longer than a lease."""
        for sku in self.redis.data.locks:
            if self.redis.data.lock_of(sku) is not None:
                self.world.accuse(Finding.LOCK_FOR_EVER, sku)

    def check_lone_purchase(self, request: Request) -> None:
        """A lone buyer at rest gets through by the lock: its order has a fence."""
        for event in reversed(self.postgres.history.events):
            if isinstance(event, Commit) and event.request is request and event.fence is None:
                self.world.accuse(Finding.LOCK_OF_NO_USE, str(request))
