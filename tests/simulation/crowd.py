"""A small flash sale under a drawn mix of faults, run to its end: load, heal, rest, drain, rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flashbench.vocabulary import Outcome
from tests.simulation.findings import Finding
from tests.simulation.history import Answer, History, Request
from tests.simulation.postgres import Postgres
from tests.simulation.protocols import MAKERS, ProtocolName
from tests.simulation.rules import Rule
from tests.simulation.themes import THEMES, Theme, draw_faults
from tests.simulation.verdict import judge
from tests.simulation.worker import Worker
from tests.simulation.world import SOON, Cancelled, Faults, Kind, Steps, Task, World

ANSWER_LIMIT_MS = 7_500.0  # no request that was not stopped itself takes longer
DECISION_LIMIT_MS = 10_000.0  # with every fault healed, stragglers still about
STEP_LIMIT = 6_000
REST_MS = 4_000.0  # longer than any lease
DRAIN_BUYERS = 2


@dataclass(slots=True)
class Call:
    """A request on its way through a worker; ``outcome`` None while, or if never, answered."""

    request: Request
    client: Task | None
    outcome: Outcome | None = None
    over: bool = False


class Crowd:
    """One run. Everything in it is drawn from the seed."""

    def __init__(self, protocol: ProtocolName, seed: int, broken: frozenset[Rule], *, telling: bool) -> None:
        self.world = world = World(seed, broken, telling=telling)
        rng = world.rng
        skus = ("A",) if rng.random() < 0.65 else ("A", "B")
        most = 5 if len(skus) == 1 else 3
        limit = 0 if rng.random() < 0.5 else rng.randint(1, 3)
        self.history = History({sku: rng.randint(1, most) for sku in skus}, limit)
        self.postgres = Postgres(world, self.history)
        self.strategy = MAKERS[protocol](world, self.postgres)
        self.workers = [Worker(number, world) for number in range(rng.choice((2, 2, 3)))]
        self.keepers_rest_ms = rng.choice((60.0, 300.0, 1_000.0, 2_500.0))
        self.closing = False
        self.kills = 0
        self.requests = 0
        self.theme = rng.choice(THEMES[protocol])
        most_tries = rng.choice((1, 3))
        self.most_tries = 1 if self.theme is Theme.COMMITS_IN_DOUBT else most_tries  # a retry mends what a try left
        self.spread_ms = rng.choice((30.0, 400.0, 3_000.0))
        world.after_step = self.strategy.check_step
        world.on_kill = self.postgres.owner_killed
        world.on_stall = self.postgres.owner_stalled
        world.pace_ms = rng.choice((2.0, 8.0, 25.0))
        world.sticky = rng.choice((0.0, 0.0, 0.4, 0.8))
        world.faults = draw_faults(self.theme, rng)

    # Load ---------------------------------------------------------------------------------------------------------

    def run(self) -> dict[Finding, str]:
        """The whole trial; the findings, empty if nothing is wrong."""
        world, rng = self.world, self.world.rng
        world.tell(f"stock {self.history.initial}, limit {self.history.per_user_limit}, {world.faults}")
        self._start_keepers()
        self._let_clients_come()
        self._plan_chaos()
        if self._run_until_over(Kind.CLIENT, Kind.CHAOS) and self._heal():
            if rng.random() < 0.5 and self._rest(drained=False):
                self._buy_alone()
                self._start_keepers()
            self._drain()
            self._rest(drained=True)
        remaining = {sku: row.remaining for sku, row in self.postgres.stock.items()}
        findings = {**judge(self.history, remaining), **world.findings}
        if Finding.ENDLESS in findings or Finding.UNDECIDED in findings:
            findings.pop(Finding.NOT_EXHAUSTED, None)  # only because the drain did not end
        return findings

    def _something_forgotten(self) -> bool:
        """Whether a counter may be too high and nobody able to know, until Postgres refuses a buyer."""
        return self.strategy.redis.losses > 0 or self.kills > 0 or self.postgres.late_commits > 0

    def _let_clients_come(self) -> None:
        rng = self.world.rng
        spread_ms = self.spread_ms
        users = rng.randint(1, 4)
        for number in range(rng.randint(3, 8)):
            key, user = f"k{number}", f"u{rng.randint(1, users)}"
            sku, quantity = rng.choice(list(self.history.initial)), rng.choice((1, 1, 1, 2, 3))
            start_ms = spread_ms * rng.random()
            self._spawn_client(key, sku, quantity, user, start_ms)
            if rng.random() < 0.25:  # a twin
                self._spawn_client(key, sku, quantity, user, start_ms + rng.choice((0.0, 50.0, 1_000.0)) * rng.random())
            elif rng.random() < 0.06:  # a careless client: the same key for something else
                self._spawn_client(key, rng.choice(list(self.history.initial)), quantity, user, start_ms)

    def _spawn_client(self, key: str, sku: str, quantity: int, user: str, start_ms: float) -> None:
        steps = self._shop(key, sku, quantity, user)
        self.world.spawn(f"client {key}", Kind.CLIENT, steps, delay_ms=start_ms)

    def _shop(self, key: str, sku: str, quantity: int, user: str) -> Steps[None]:
        """One client: a try, and others with the same key while it has no answer, sometimes even after one."""
        world = self.world
        for _ in range(self.most_tries):
            call = self._send(key, sku, quantity, user)
            gives_up_ms = world.now_ms + world.rng.choice((250.0, 1_000.0, 4_000.0))
            while not call.over and world.now_ms < gives_up_ms:
                yield gives_up_ms
            if call.outcome is not None and call.outcome.decided and world.random() < 0.75:
                return
            yield world.now_ms + world.between(0, 300)

    def _send(self, key: str, sku: str, quantity: int, user: str) -> Call:
        self.requests += 1
        request = Request(f"r{self.requests}", key, sku, quantity, user)
        call = Call(request, self.world.current)
        worker = self.world.rng.choice(self.workers)
        self.world.spawn(request.name, Kind.REQUEST, self._serve(worker, call), worker=worker.number)
        self.world.tell(f"sends {request} to worker {worker.number}")
        return call

    def _serve(self, worker: Worker, call: Call) -> Steps[None]:
        world, started_ms = self.world, self.world.now_ms
        task = world.current
        try:
            call.outcome = yield from self.strategy.buy(worker, call.request)
        except Cancelled:
            world.tell("ends without an answer")
        else:
            world.tell(f"answers {call.outcome}")
            self.history.add(Answer(call.request, call.outcome))
            took_ms = world.now_ms - started_ms
            if took_ms > ANSWER_LIMIT_MS and task is not None and not task.stalled:
                world.accuse(Finding.WAITED_TOO_LONG, f"{call.request} took {took_ms:.0f} ms")
        call.over = True
        if call.client is not None:
            call.client.wake_at_ms = SOON

    # Faults -------------------------------------------------------------------------------------------------------

    def _plan_chaos(self) -> None:
        rng, redis = self.world.rng, self.strategy.redis
        deeds: list[Callable[[], None]] = [
            redis.flush,
            redis.roll_back,
            self._hang_redis,
            self._stop_redis,
            self._kill_worker,
            self._mislead_worker,
            self._hold_row,
            self._reconcile,
        ]
        most = 6
        span_ms = rng.choice((200.0, 1_500.0, 6_000.0))
        match self.theme:
            case Theme.ANYTHING:
                chosen = rng.sample(deeds, rng.choice((0, 0, 1, 2, 3)))
            case Theme.LEASES_OUTLIVED:
                chosen = [redis.flush, redis.roll_back, self._mislead_worker, self._hold_row]
            case _:
                chosen, span_ms = [self._reconcile], self.spread_ms + 25 * self.world.pace_ms
        plan = [(span_ms * rng.random(), rng.choice(chosen)) for _ in range(rng.randint(1, most))] if chosen else []
        if redis.roll_back in chosen:
            plan += [(span_ms * rng.random(), redis.snapshot) for _ in range(3)]
        for at_ms, deed in plan:
            self.world.spawn(f"chaos {deed.__name__}", Kind.CHAOS, self._do(deed), delay_ms=at_ms)

    def _do(self, deed: Callable[[], None]) -> Steps[None]:
        self.world.tell("FAULT")
        deed()
        yield from ()  # a generator, as every task is

    def _hang_redis(self) -> None:
        self.strategy.redis.hangs_until_ms = self.world.now_ms + self.world.between(50, 3_000)

    def _stop_redis(self) -> None:
        self.strategy.redis.down_until_ms = self.world.now_ms + self.world.between(50, 3_000)

    def _kill_worker(self) -> None:
        self.kills += 1
        worker = self.world.rng.choice(self.workers)
        for task in [task for task in self.world.tasks if task.worker == worker.number]:
            self.world.kill(task)
        worker.owed.clear()
        worker.returning = False
        self._start_keeper(worker)

    def _mislead_worker(self) -> None:
        self.world.rng.choice(self.workers).trip(self.world.between(100, 3_000))

    def _hold_row(self) -> None:
        sku = self.world.rng.choice(list(self.history.initial))
        steps = self.postgres.hold_row(sku, self.world.between(200, 1_500))
        self.world.spawn(f"intruder on {sku}", Kind.CHAOS, steps)

    def _reconcile(self) -> None:
        """No fault, but somebody may ask for it at a bad moment."""
        worker = self.world.rng.choice(self.workers)
        steps = self.strategy.reconcile(worker)
        self.world.spawn("reconcile", Kind.KEEPER, steps, worker=worker.number)

    def _heal(self) -> bool:
        """End every fault; what is stopped or on its way goes on. True once every worker believes Redis again."""
        self.world.faults = Faults()
        redis = self.strategy.redis
        redis.hangs_until_ms = min(redis.hangs_until_ms, self.world.now_ms)
        redis.down_until_ms = min(redis.down_until_ms, self.world.now_ms)
        self.world.tell("HEALED")
        return self._run_until(lambda: all(worker.believes for worker in self.workers))

    # Background ---------------------------------------------------------------------------------------------------

    def _start_keepers(self) -> None:
        self.closing = False
        for worker in self.workers:
            self._start_keeper(worker)

    def _start_keeper(self, worker: Worker) -> None:
        self.world.spawn(f"keeper {worker.number}", Kind.KEEPER, self._keep(worker), worker=worker.number)

    def _keep(self, worker: Worker) -> Steps[None]:
        while not self.closing:
            yield from self.strategy.keep(worker)
            yield self.world.now_ms + self.keepers_rest_ms * (0.5 + self.world.random())

    # The end ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Contended buying of single units, a fresh user each, until refused."""
        for sku in self.history.initial:
            for number in range(DRAIN_BUYERS):
                self.world.spawn(f"drain {sku}{number}", Kind.CLIENT, self._buy_until_refused(sku))
        self._run_until_over(Kind.CLIENT)

    def _buy_until_refused(self, sku: str) -> Steps[None]:
        outcome: Outcome | None = Outcome.SOLD
        while outcome is Outcome.SOLD:
            outcome = yield from self._buy_until_decided(sku)

    def _buy_until_decided(self, sku: str) -> Steps[Outcome | None]:
        name = self.world.fresh("drain")
        decide_by_ms = self.world.now_ms + DECISION_LIMIT_MS
        while self.world.now_ms < decide_by_ms:
            call = self._send(name, sku, 1, name)
            while not call.over and self.world.now_ms < decide_by_ms:
                yield decide_by_ms
            if call.outcome is not None and call.outcome.decided:
                return call.outcome
        self.world.accuse(Finding.UNDECIDED, f"{name} on {sku}")
        return None

    def _buy_alone(self) -> None:
        for sku in self.history.initial:
            calls: list[Call] = []
            self.world.current = None
            calls.append(self._send(f"lone {sku}", sku, 1, f"lone {sku}"))
            self._run_until_over(Kind.REQUEST)
            for call in calls:
                self.strategy.check_lone_purchase(call.request)

    def _rest(self, *, drained: bool) -> bool:
        """Nothing in flight any more, leases over, everything reaped and what is marked seeded; then the checks."""
        self.closing = True
        if not self._run_until(lambda: not self.world.tasks):
            return False
        self.world.now_ms += REST_MS
        self.world.spawn("rest", Kind.CLIENT, self._tidy())
        self._run_until(lambda: not self.world.tasks)
        self.world.tell("AT REST")
        self.strategy.check_rest(exact=drained or not self._something_forgotten())
        return True

    def _tidy(self) -> Steps[None]:
        for _ in range(2):
            for worker in self.workers:
                yield from self.strategy.keep(worker)

    def _run_until_over(self, *kinds: Kind) -> bool:
        return self._run_until(lambda: not self.world.running(*kinds))

    def _run_until(self, over: Callable[[], bool]) -> bool:
        world = self.world
        limit = world.steps + STEP_LIMIT
        while not over():
            if world.steps > limit:
                world.accuse(Finding.ENDLESS, ", ".join(task.name for task in world.tasks))
                return False
            world.step()
        return True


def run_seed(protocol: ProtocolName, seed: int, broken: frozenset[Rule] = frozenset()) -> dict[Finding, str]:
    """The findings of one seed, without its story."""
    return Crowd(protocol, seed, broken, telling=False).run()


def story_of(protocol: ProtocolName, seed: int, broken: frozenset[Rule] = frozenset()) -> str:
    """The same seed again, told step by step."""
    crowd = Crowd(protocol, seed, broken, telling=True)
    findings = crowd.run()
    wrong = [f"{finding.name}: {finding.value} ({text})" for finding, text in findings.items()]
    title = f"{protocol.value}, seed {seed}, without {', '.join(rule.name for rule in broken) or 'no rule'}"
    return "\n".join([title, *crowd.world.story, *(wrong or ["nothing wrong"])])
