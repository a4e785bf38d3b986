"""`redis_lua` as a state machine: holds in Redis before the guarded transaction, settled or given back after it."""

from __future__ import annotations

from flashbench.vocabulary import Outcome
from tests.simulation.findings import Finding
from tests.simulation.guarded_transaction import OUTCOMES, Deed, commit_guarded
from tests.simulation.history import Request
from tests.simulation.lua_scripts import Decision, LuaData, Peek
from tests.simulation.network import Redis, RedisAway
from tests.simulation.postgres import CancelledInCommit, Postgres, PostgresFailed
from tests.simulation.rules import Rule
from tests.simulation.worker import Worker
from tests.simulation.world import Cancelled, Steps, World

WAIT_LIMIT_MS = 300.0
LONGEST_PAUSE_MS = 80.0  # between two looks while waiting


class RedisLua:
    """The strategy in every worker, over one Redis and one Postgres."""

    def __init__(self, world: World, postgres: Postgres) -> None:
        self.world = world
        self.postgres = postgres
        self.limit = postgres.history.per_user_limit
        self.skus = list(postgres.stock)
        self.redis: Redis[LuaData] = Redis(world, lambda: LuaData(world))

    # A purchase ---------------------------------------------------------------------------------------------------

    def buy(self, worker: Worker, request: Request) -> Steps[Outcome]:
        """One request, from its decision in Redis to its answer."""
        obeys = self.world.obeys
        if not worker.believes:
            return (yield from self._buy_unheld(worker, request))
        looked_up_early = None
        if not obeys(Rule.LOOK_UP_AFTER_DECISION):
            looked_up_early = yield from self._look_up(request)
        token = self.world.fresh("t") if obeys(Rule.TOKEN_PER_HOLD) else request.key
        try:
            decision = yield from self._decide(worker, request, token)
        except RedisAway:
            worker.command_failed()
            if not obeys(Rule.UNANSWERED_HOLD_NEVER_SETTLES):
                return (yield from self._buy_held(worker, request, token))
            return (yield from self._buy_unheld(worker, request))
        if decision is Decision.HELD:
            return (yield from self._buy_held(worker, request, token))
        if decision in (Decision.SOLD_OUT, Decision.LIMITED):
            found = looked_up_early
            if obeys(Rule.LOOK_UP_AFTER_DECISION) and obeys(Rule.LOOK_UP_BEFORE_REFUSAL):
                found = yield from self._look_up(request)
            refusal = Outcome.SOLD_OUT if decision is Decision.SOLD_OUT else Outcome.LIMITED
            return found or refusal
        return (yield from self._buy_unheld(worker, request))

    def _decide(self, worker: Worker, request: Request, token: str) -> Steps[Decision]:
        """Ask Redis, seeding a missing counter once and waiting a little for holds to settle."""
        seeded = False
        started_ms: float | None = None
        while True:
            decision = yield from self.redis.call(
                f"HOLD {token}", lambda data: data.hold(request.sku, token, request.quantity, request.user, self.limit)
            )
            if decision is Decision.MISSING and not seeded:
                seeded = True
                try:
                    yield from self._seed(worker, request.sku)
                except PostgresFailed:
                    return decision
            elif decision is Decision.WAIT:
                started_ms = self.world.now_ms if started_ms is None else started_ms
                waited_ms = self.world.now_ms - started_ms
                if waited_ms >= WAIT_LIMIT_MS and self.world.obeys(Rule.WAIT_FOR_HOLDS_IS_BOUNDED):
                    return decision
                again_ms = self.world.now_ms + self.world.between(10, LONGEST_PAUSE_MS)
                self.world.check_wait(again_ms - started_ms, WAIT_LIMIT_MS + LONGEST_PAUSE_MS)
                yield again_ms
            else:
                return decision

    def _look_up(self, request: Request) -> Steps[Outcome | None]:
        """The key's order as a replay; None if there is none; FAILED if that cannot be said."""
        try:
            yield from self.postgres.read()
        except PostgresFailed:
            return Outcome.FAILED if self.world.obeys(Rule.LOOK_UP_MUST_ANSWER) else None
        order = self.postgres.orders.get(request.key)
        if order is None:
            return None
        return Outcome.SOLD if order.purchase == request.purchase else Outcome.FAILED

    def _buy_held(self, worker: Worker, request: Request, token: str) -> Steps[Outcome]:
        """The guarded transaction under a hold, which is then settled, given back, or left to the reaper."""
        obeys = self.world.obeys
        try:
            deed = yield from commit_guarded(self.postgres, request, per_user_limit=self.limit)
        except CancelledInCommit:
            yield from self._doubt(worker, request, token)
            raise
        except Cancelled:
            yield from self._tell_redis(worker, request, self._give_back(request, token, marking=False))
            raise
        settles = (
            deed is Deed.OWN
            or (deed is Deed.REPLAY and not obeys(Rule.REPLAY_NEVER_SETTLES))
            or (deed is Deed.UNKNOWN and not obeys(Rule.UNKNOWN_NEVER_SETTLES))
            or (deed not in (Deed.REPLAY, Deed.UNKNOWN) and not obeys(Rule.FAILURE_NEVER_SETTLES))
        )
        if settles:
            command = self.redis.call(
                f"SETTLE {token}", lambda data: data.settle(request.sku, token, request.quantity, request.user)
            )
            yield from self._tell_redis(worker, request, command)
        elif deed is not Deed.UNKNOWN or not obeys(Rule.UNKNOWN_KEEPS_HOLD):
            marking = deed in (Deed.SOLD_OUT, Deed.REPLAY) and obeys(Rule.REFUSAL_MARKS_STALE)
            yield from self._tell_redis(worker, request, self._give_back(request, token, marking=marking))
        else:
            yield from self._doubt(worker, request, token)
        return OUTCOMES[deed]

    def _doubt(self, worker: Worker, request: Request, token: str) -> Steps[None]:
        """An unknown commit: its hold stays where it is."""
        if self.world.obeys(Rule.DOUBT_MARKS_STALE):
            command = self.redis.call(f"DOUBT {token}", lambda data: data.doubt(request.sku, token))
            yield from self._tell_redis(worker, request, command)

    def _give_back(self, request: Request, token: str, *, marking: bool) -> Steps[object]:
        return self.redis.call(
            f"GIVE BACK {token}{', mark' if marking else ''}",
            lambda data: data.give_back(request.sku, token, request.quantity, marking=marking),
        )

    def _buy_unheld(self, worker: Worker, request: Request) -> Steps[Outcome]:
        """The guarded path. What it sells is not taken from the counter: the counter is marked, or a seed is owed."""
        obeys = self.world.obeys
        locked = worker.believes or obeys(Rule.ONE_GUARD_IN_EVERY_MODE)
        try:
            deed = yield from commit_guarded(self.postgres, request, per_user_limit=self.limit, locked=locked)
        except Cancelled:
            self._owe(worker, request.sku)
            raise
        sells = deed in (Deed.OWN, Deed.UNKNOWN)
        if not worker.believes:
            if sells:
                self._owe(worker, request.sku)
        elif deed is Deed.OWN and not obeys(Rule.UNHELD_COMMIT_NEVER_DEDUCTS):
            deduct = self.redis.call("DEDUCT", lambda data: data.deduct(request.sku, request.quantity))
            yield from self._tell_redis(worker, request, deduct)
        elif (sells and obeys(Rule.UNHELD_COMMIT_MARKS_STALE)) or (
            deed in (Deed.SOLD_OUT, Deed.REPLAY) and obeys(Rule.REFUSAL_MARKS_STALE)
        ):
            yield from self._tell_redis(worker, request, self.redis.call("MARK", lambda data: data.mark(request.sku)))
        return OUTCOMES[deed]

    def _tell_redis(self, worker: Worker, request: Request, command: Steps[object]) -> Steps[None]:
        """Send what follows a decision by Postgres. Unanswered, a seed is owed; the answer to the buyer stays."""
        try:
            yield from command
        except RedisAway:
            self._owe(worker, request.sku)
            worker.command_failed()
        except Cancelled:
            self._owe(worker, request.sku)
            raise

    def _owe(self, worker: Worker, sku: str) -> None:
        if self.world.obeys(Rule.OWED_IS_SEEDED):
            worker.owed[sku] = self.world.fresh("owed")

    # Seeding and reaping ------------------------------------------------------------------------------------------

    def _seed(self, worker: Worker, sku: str, peek: Peek | None = None) -> Steps[bool]:
        """Set the counter to what Postgres has. True if this very seed was applied."""
        obeys = self.world.obeys
        owed = worker.owed.get(sku)
        remaining = -1
        if not obeys(Rule.EPOCH_READ_FIRST):
            yield from self.postgres.read()
            remaining = self.postgres.stock[sku].remaining
            peek = None
        seen = peek if peek is not None else (yield from self._peek(sku))
        bought: dict[str, int] = {}
        if obeys(Rule.EPOCH_READ_FIRST):
            yield from self.postgres.read()
            remaining = self.postgres.stock[sku].remaining
        if not obeys(Rule.SEED_LEAVES_LIMITS_ALONE):
            bought = dict(self.postgres.bought)
        applied = yield from self.redis.call(
            f"SEED {sku} to {remaining}", lambda data: data.seed(sku, seen, remaining, bought)
        )
        if applied and owed is not None and worker.owed.get(sku) == owed:
            del worker.owed[sku]
        return applied

    def _peek(self, sku: str) -> Steps[Peek]:
        return self.redis.call(f"PEEK {sku}", lambda data: data.peek(sku))

    def keep(self, worker: Worker) -> Steps[None]:
        """One round of a worker's background task: come back to Redis, reap, seed what is stale, missing or owed."""
        if self.world.now_ms < worker.away_until_ms:
            return
        try:
            if worker.returning:
                for sku in list(worker.owed):
                    yield from self._seed(worker, sku)
                if worker.owed:
                    return
                worker.returning = False
            for sku in self.skus:
                if self.world.obeys(Rule.HOLDS_ARE_REAPED):
                    yield from self.redis.call(f"REAP {sku}", lambda data, sku=sku: data.reap(sku))  # type: ignore[misc]
                peek = yield from self._peek(sku)
                if peek.stale or peek.missing or sku in worker.owed:
                    yield from self._seed(worker, sku, peek)
        except RedisAway:
            worker.command_failed()
        except PostgresFailed:
            self.world.tell("keeper: Postgres did not answer")

    def reconcile(self, worker: Worker) -> Steps[None]:
        """Seed every SKU, whatever its state."""
        try:
            for sku in self.skus:
                yield from self._seed(worker, sku)
        except RedisAway:
            worker.command_failed()
        except PostgresFailed:
            self.world.tell("reconcile: Postgres did not answer")

    # Checks -------------------------------------------------------------------------------------------------------

    def check_step(self) -> None:
        """What must hold after every step of anybody."""
        world, stock = self.world, self.postgres.stock
        data = self.redis.data
        for sku, counter in data.counters.items():
            if counter.avail is None:
                continue
            total = counter.avail + counter.held
            row = stock[sku]
            if total < row.remaining:
                world.accuse(Finding.COUNTER_TOO_LOW, f"{sku}: {counter}, Postgres {row.remaining}")
            elif total > row.initial:
                world.accuse(Finding.COUNTER_TOO_HIGH, f"{sku}: {counter}, initial {row.initial}")
        for user, settled in data.settled.items() if self.limit else ():
            if settled > self.postgres.bought.get(user, 0):
                world.accuse(Finding.LIMIT_TOO_HIGH, f"{user}: {settled}")

    def check_rest(self, *, exact: bool) -> None:
        """What must hold when nothing is in flight and every hold that nobody owns has been reaped.

        ``exact`` unless data or a worker's memory was lost since: then only a refusal by Postgres shows a counter that
        is too high.
        """
        for sku, counter in self.redis.data.counters.items():
            remaining = self.postgres.stock[sku].remaining
            if exact and counter.avail != remaining:
                self.world.accuse(Finding.STORES_DISAGREE, f"{sku}: {counter}, Postgres {remaining}")
            if counter.held != 0 or counter.holds:
                self.world.accuse(Finding.HOLDS_LEFT, f"{sku}: {counter}")

    def check_lone_purchase(self, request: Request) -> None:
        """Nothing more is asked of a purchase at rest."""
