"""The life of a trial: open → load → settle → drain → collect → seal → judge. Plain synchronous code, written once.

The load is a function that is given the open sale and returns when the load is over, so this runs under Locust as
well as without it. Whatever goes wrong after the sale is open becomes a sentence among the trial's problems, which
bars a PASS; the evidence that there is, is sealed and judged all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from flashbench.errors import UsageError
from flashbench.evidence.apart import Sealer
from flashbench.evidence.documents import (
    DRAIN_WORKER,
    STOCK,
    TRIAL,
    Cost,
    Moments,
    Quiescence,
    StockDocument,
    StockSnapshot,
    StoreReading,
    TrialDocument,
    VerdictDocument,
    WorkerClosing,
)
from flashbench.evidence.recorder import Recorder
from flashbench.evidence.whole import publish_text
from flashbench.target.http import TargetGoneError, TargetSilentError
from flashbench.target.protocol import OpenedSale, Target
from flashbench.trial.collect import LEDGER_ROWS, STATED_ROWS, read_closings, write_closing, write_ledger
from flashbench.trial.companions import Companions
from flashbench.trial.drain import DrainLimits, DrainResult, drain
from flashbench.trial.plan import TrialPlan
from flashbench.trial.quiescence import wait_until_idle, wait_until_still
from flashbench.trial.stores import StoreErrors, Stores, difference

IDLE_WITHIN_S = 10.0  # purchases still in flight after the load
STILL_WITHIN_S = 30.0  # beyond the longest timer


class TrialTarget(Target, Protocol):
    """A target that also says how much is in flight, and whether it states its orders at all."""

    def in_flight(self) -> int | None: ...

    @property
    def states_ledger(self) -> bool: ...


class JudgesTrials(Protocol):
    """Derives the verdict from a sealed folder; told when it will soon be needed."""

    def get_ready(self) -> None: ...

    def __call__(self, folder: Path) -> VerdictDocument: ...


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """What the load is given."""

    plan: TrialPlan
    folder: Path
    sale_id: str
    released: Callable[[int], None]  # to be called with the moment at which the load begins


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """What the load says of itself. ``workers`` are the labels that must have left a closing."""

    workers: tuple[str, ...]
    released_ns: int | None
    ended_ns: int
    interrupted: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialResult:
    """Where the evidence is and what it says; no verdict if it could not even be sealed or judged, ``problem`` why."""

    folder: Path
    verdict: VerdictDocument | None
    problem: str | None = None


@dataclass(slots=True)
class Surroundings:
    """What a trial runs in. ``longest_timer_s`` is the target's; ``hurry`` says to cut short what can be.

    ``settle_s``: how long a target is left alone after the load that can't say whether anything is in flight.
    """

    target: TrialTarget
    stores: Stores | None
    longest_timer_s: float
    judge: JudgesTrials
    progress: Callable[[str], None] = lambda _: None
    hurry: Callable[[], bool] = lambda: False
    drain_limits: DrainLimits = field(default_factory=DrainLimits)
    settle_s: float = 0.0


def run_trial(
    plan: TrialPlan, folder: Path, around: Surroundings, load: Callable[[OpenTrial], LoadOutcome]
) -> TrialResult:
    """Run one trial in ``folder``, which exists and is empty. UsageError if the sale can't be opened."""
    sale = around.target.open(plan.sale)
    if around.stores is not None and not around.stores.holds_sale(sale.sale_id):
        raise UsageError("the database at --database-url is not the one that the target writes its sales to.")
    if around.stores is not None and sale.counter is not None and not around.stores.has_redis:
        raise UsageError(f"{plan.strategy} keeps its counter in Redis: give --redis-url beside --database-url.")
    life = _Life(plan, folder, around, sale)
    seal = Sealer()
    try:
        life.write_document()
        life.load(load)
        life.settle()
        life.drain()
        seal.get_ready()  # both have the time of waiting for rest to load what they need
        around.judge.get_ready()
        life.collect()
        life.write_document()
        around.progress("sealing and judging the evidence")
        seal(folder)
    except UsageError as error:  # a full or vanished folder, as those who write to it tell it
        return TrialResult(folder, None, str(error).rstrip("."))
    except OSError as error:
        return TrialResult(folder, None, f"the evidence could not be written to {folder} ({error.strerror or error})")
    return TrialResult(folder, around.judge(folder))


class _Life:
    """The state that the stations of one trial share."""

    def __init__(self, plan: TrialPlan, folder: Path, around: Surroundings, sale: OpenedSale) -> None:
        self._plan, self._folder, self._around, self._sale = plan, folder, around, sale
        self._skus = tuple(item.sku for item in plan.sale.items)
        self._moments: dict[str, int] = {
            "opened_ns": time.monotonic_ns(),
            "anchor_monotonic_ns": time.monotonic_ns(),
            "anchor_unix_ns": time.time_ns(),
        }
        self._outcome: LoadOutcome | None = None
        self._cost = Cost()
        self._quiescence: Quiescence | None = None
        self._drain_closing: WorkerClosing | None = None
        self._ledger_source: Literal["postgres", "target", "none"] = "none"
        self._problems: list[str] = []
        self._companions_lost = False
        self._gone = False  # the target, when it was last asked
        self._finished = self._hurried = False

    def load(self, load: Callable[[OpenTrial], LoadOutcome]) -> None:
        with Companions(self._plan.companions) as companions:
            companions.begin(self._opened())
            before = self._read_cost()
            self._outcome = load(OpenTrial(self._plan, self._folder, self._sale.sale_id, companions.released))
            self._cost = difference(before, self._read_cost())
            companions.finish(self._outcome.ended_ns)
        for failure in companions.failed:
            self._around.progress(f"{failure} (see its messages above)")
        self._companions_lost = bool(companions.failed)
        if self._outcome.released_ns is not None:
            self._moments["released_ns"] = self._outcome.released_ns
        self._moments["load_ended_ns"] = self._outcome.ended_ns
        self._problems += (*self._outcome.problems, *companions.said, *companions.failed)

    def settle(self) -> None:
        """Nothing that the load started may still be under way when the drain begins."""
        if self._around.hurry():
            return
        rested_ns = time.monotonic_ns() + int(self._around.settle_s * 1e9)
        while time.monotonic_ns() < rested_ns and not self._around.hurry():
            time.sleep(0.1)
        still_there = wait_until_idle(self._in_flight, IDLE_WITHIN_S)
        if still_there:
            self._problems.append(f"after the load, {'; '.join(still_there)}")

    def drain(self) -> None:
        self._around.progress("draining what is left, with fresh buyers")
        self._moments["drain_started_ns"] = time.monotonic_ns()
        recorder = Recorder(self._folder, DRAIN_WORKER)
        result = self._drained(recorder)
        totals = recorder.close()
        self._moments["drain_ended_ns"] = time.monotonic_ns()
        self._problems += result.problems
        write_closing(
            self._folder,
            WorkerClosing(
                worker=DRAIN_WORKER,
                tries=totals.tries,
                reads=totals.reads,
                tries_sha256=totals.tries_sha256,
                reads_sha256=totals.reads_sha256,
                cut_off=0,
                peak_in_flight=self._around.drain_limits.parallel,
                loop_lag_p99_ms=0.0,
                loop_lag_max_ms=0.0,
                cpu_share=0.0,
            ),
        )

    def _drained(self, recorder: Recorder) -> DrainResult:
        if self._gone:
            return DrainResult(problems=["nothing was drained, since the target no longer answers"])
        return drain(
            self._around.target,
            self._sale.sale_id,
            self._plan.sale,
            self._plan.quantity,
            recorder,
            seed=self._plan.seed,
            limits=self._around.drain_limits,
            progress=self._around.progress,
            hurry=self._around.hurry,
        )

    def collect(self) -> None:
        """Wait for rest, then read the final state: the stores by ourselves, and what the target says of them."""
        self._around.progress("waiting until the stores are at rest, then reading them")
        snapshots: list[StockSnapshot] = []
        with self._noted("the stores could not be watched"):
            timer_s = self._around.longest_timer_s
            limit_s = 0.0 if self._gone else timer_s + STILL_WITHIN_S
            self._quiescence = wait_until_still(self, timer_s, limit_s, hurry=self._around.hurry)
        stores = self._around.stores
        if stores is not None:
            with self._noted("the stores could not be read"):
                items = stores.readings(self._sale.sale_id, self._skus, self._sale.counter)
                snapshots.append(StockSnapshot(at_ns=time.monotonic_ns(), source="stores", items=items))
                write_ledger(self._folder / LEDGER_ROWS, stores.orders(self._sale.sale_id))
                self._ledger_source = "postgres"
        with self._noted("the target did not state its stock and ledger"):
            items = self._around.target.stock(self._sale.sale_id)
            snapshots.append(StockSnapshot(at_ns=time.monotonic_ns(), source="target", items=items))
            if self._around.target.states_ledger:
                write_ledger(self._folder / STATED_ROWS, self._around.target.ledger(self._sale.sale_id))
            if stores is None and self._around.target.states_ledger:
                write_ledger(self._folder / LEDGER_ROWS, self._around.target.ledger(self._sale.sale_id))
                self._ledger_source = "target"
        (self._folder / STOCK).write_text(StockDocument(snapshots=tuple(snapshots)).to_json())
        self._moments["collected_ns"] = time.monotonic_ns()
        self._hurried = self._around.hurry()
        self._finished = True

    def moving(self) -> Sequence[str]:
        """What is still going on in the target and in Postgres."""
        reasons = list(self._in_flight())
        if self._around.stores is not None:
            sessions = self._around.stores.open_transactions()
            if sessions:
                reasons.append(f"{sessions} transactions of the app are open")
        held = sum(reading.redis_held or 0 for reading in self.snapshot())
        if held:
            reasons.append(f"{held} units are still held")
        return reasons

    def snapshot(self) -> tuple[StoreReading, ...]:
        if self._around.stores is not None:
            return self._around.stores.readings(self._sale.sale_id, self._skus, self._sale.counter)
        return self._around.target.stock(self._sale.sale_id)

    def write_document(self) -> None:
        """``trial.json`` as things stand; the one of an unfinished trial says so."""
        unfinished = () if self._finished else ("the trial was not carried to its end",)
        closings = tuple(each for each in read_closings(self._folder) if each.worker != DRAIN_WORKER)
        plan = self._plan
        document = TrialDocument(
            trial=plan.trial,
            suite=plan.suite,
            strategy=plan.strategy,
            strategy_source=plan.source,
            control=plan.control,
            scenario=plan.scenario,
            case=plan.case,
            alone=plan.alone,
            parameters=dict(plan.parameters),
            fault=plan.fault,
            planned_faults=plan.faults,
            seed=plan.seed,
            expectation=plan.expectation,
            sale_id=self._sale.sale_id,
            sale=plan.sale,
            counter=self._sale.counter,
            workers=self._outcome.workers if self._outcome else (),
            closings=closings,
            moments=Moments(**self._moments),
            quiescence=self._quiescence,
            cost=self._cost,
            ledger_source=self._ledger_source,
            interrupted=self._hurried or (self._outcome is not None and self._outcome.interrupted),
            stores_lost=self._around.stores is not None and self._finished and self._ledger_source != "postgres",
            companions_lost=self._companions_lost,
            wiring=dict(plan.wiring),
            fingerprint={name: dict(facts) for name, facts in plan.fingerprint.items()},
            problems=(*self._problems, *unfinished),
        )
        publish_text(self._folder / TRIAL, document.to_json())

    def _opened(self) -> dict[str, Any]:
        """What companions are told of the sale."""
        return {
            "folder": str(self._folder),
            "sale_id": self._sale.sale_id,
            "skus": self._skus,
            "counter": self._sale.counter.model_dump() if self._sale.counter is not None else None,
            "lock_keys": self._sale.lock_keys,
        }

    def _in_flight(self) -> Sequence[str]:
        self._gone = False
        try:
            count = self._around.target.in_flight()
        except TargetSilentError as error:
            self._gone = isinstance(error, TargetGoneError)
            return [f"the target does not say what is in flight ({error})"]
        if count is None:
            return ["the target states no target_app_in_flight in /metrics"]
        return [f"{count} purchases are in flight"] if count else []

    def _read_cost(self) -> Cost:
        if self._around.stores is not None:
            with self._noted("the stores' counters could not be read"):
                return self._around.stores.cost()
        return Cost()

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """An edge that fails here is a problem of the trial, not the end of it."""
        try:
            yield
        except (TargetSilentError, *StoreErrors) as error:
            self._problems.append(f"{what} ({' '.join(str(error).split()) or type(error).__name__})")
