"""The process that opens the sale: it runs the trial's life around Locust's load, and answers for the exit code."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.greenlet import Greenlet
from locust import log as locust_log
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

from flashbench import catalogue
from flashbench.catalogue import Contender
from flashbench.errors import UsageError
from flashbench.evidence.documents import PlannedFault, VerdictDocument
from flashbench.load import options
from flashbench.load.briefing import Briefing, clock_name, new_nonce
from flashbench.load.interrupts import Interrupts
from flashbench.load.options import LoadOptions
from flashbench.load.target_of_run import Aim, address, start_stack, take_aim
from flashbench.load.turns import worst
from flashbench.load.worker import IN_FLIGHT_LIMIT_S, LoadWorker
from flashbench.services import Stack
from flashbench.services.machine import fingerprint
from flashbench.trial.collect import closing_path
from flashbench.trial.drain import DrainLimits
from flashbench.trial.folder import check_writable, make_folder
from flashbench.trial.life import JudgesTrials, LoadOutcome, OpenTrial, Surroundings, TrialResult, run_trial
from flashbench.trial.plan import TrialPlan, sale_of
from flashbench.vocabulary import ExitCode

CLOSE = "flashbench:close"
RELEASE = "flashbench:release"
BRIEFING = "flashbench_briefing"  # among the parsed options, which Locust hands to its workers at every start

RELEASE_AHEAD_S = 0.25  # time for the release to reach every process before its moment comes
CLOSING_LIMIT_S = IN_FLIGHT_LIMIT_S + 5.0

log = logging.getLogger("flashbench")


@dataclass(slots=True, eq=False)
class _Run:
    """What belongs to one run of Locust, from its start to its verdict."""

    aim: Aim | None = None
    life: Greenlet[..., TrialResult] | None = None
    briefing: Briefing | None = None
    opened: AsyncResult[OpenTrial] = field(default_factory=AsyncResult)
    over: AsyncResult[LoadOutcome] = field(default_factory=AsyncResult)
    expected: set[int] = field(default_factory=set)  # workers, by index
    spent: set[int] = field(default_factory=set)
    released_ns: int | None = None
    load_is_over: bool = False
    crashed_before: bool = False


class Conductor:
    """One per non-worker process. A trial begins with ``start`` and is over with ``finish``; there may be several."""

    def __init__(
        self,
        environment: Environment,
        interrupts: Interrupts,
        scenario: Callable[[], str],
        judge: JudgesTrials,
        describe: Callable[[VerdictDocument], str],
    ) -> None:
        self._environment, self._interrupts, self._scenario = environment, interrupts, scenario
        self._judge, self._describe = judge, describe
        self._stack: Stack | None = None
        self._fingerprint: dict[str, dict[str, Any]] = {}
        self._codes: list[int] = []
        self._last_words: list[str] = []
        self._run = _Run()

    # Before the first run

    def prepare(self) -> None:
        """Bring up what the run needs. UsageError with one sentence if it can't be."""
        parsed = self._environment.parsed_options
        chosen = options.frozen(vars(parsed))
        check_writable(chosen.evidence_folder)
        has_web_ui = self._environment.web_ui is not None
        if not self._environment.host:
            self._stack = start_stack(chosen, has_web_ui, log.info)
            self._environment.host = self._stack.info.base_url
            self._fingerprint = fingerprint(self._stack.info)
        take_aim(address(self._environment.host, chosen, self._stack), chosen).close()
        self._environment.process_exit_code = int(ExitCode.PASS if has_web_ui else ExitCode.UNPROVEN)

    # A trial

    def start(self) -> Briefing:
        """Open the sale and say what the load workers need to know. UsageError if that can't be."""
        self.finish()  # of a run whose end was cut short
        self._run = _Run()
        parsed = vars(self._environment.parsed_options)
        parsed.pop(BRIEFING, None)
        chosen = options.frozen(parsed)
        users, rate, run_time_s = self._size(parsed)
        options.check_ramp(users, rate, run_time_s)
        contender = catalogue.contender(chosen.strategy)
        parent = check_writable(chosen.evidence_folder)
        at = address(self._environment.host, chosen, self._stack)
        self._environment.host = at.base_url
        self._run.aim = take_aim(at, chosen)
        size = {"users": users, "spawn_rate": rate, "run_time_s": run_time_s}
        plan = self._plan(chosen, contender, self._run.aim, size)
        folder = make_folder(parent, plan.trial)
        plan = replace(plan, trial=folder.name)
        self._run.expected = self._connected_workers()
        self._run.crashed_before = locust_log.unhandled_greenlet_exception
        target_file = self._run.aim.target_file
        around = Surroundings(
            self._run.aim.target,
            self._run.aim.stores,
            self._run.aim.offer.longest_timer_s,
            self._judge,
            log.info,
            self._interrupts.hurry,
            DrainLimits(repeatable=target_file is None or target_file.purchase.idempotent),
            settle_s=target_file.settle_s if target_file is not None else 0.0,
        )
        self._run.life = gevent.spawn(run_trial, plan, folder, around, self._load)
        gevent.wait([self._run.opened, self._run.life], count=1)
        if not self._run.opened.ready():
            for leftover in folder.iterdir():
                leftover.unlink()
            folder.rmdir()
            raise UsageError(f"the trial could not begin: {self._run.life.get().problem}.")
        self._run.briefing = Briefing(
            trial=plan.trial,
            nonce=new_nonce(),
            folder=str(folder),
            clock=clock_name(),
            sale_id=self._run.opened.get().sale_id,
            skus=[item.sku for item in plan.sale.items],
            quantity=plan.quantity,
            most_quantity=chosen.quantity_up_to,
            tabs=chosen.tabs,
            seed=plan.seed,
            attempts=0 if run_time_s else chosen.attempts,
            think_ms=chosen.think_ms,
            twin_share=chosen.twin_share,
            read_share=chosen.read_share,
            arrivals_per_s=chosen.arrivals_per_s / users,
            target=target_file.model_dump(mode="json", by_alias=True) if target_file is not None else {},
        )
        with contextlib.suppress(OSError):  # then no worker takes it for its own, and each sends its records
            self._run.briefing.mark_folder()
        parsed[BRIEFING] = self._run.briefing.packed()
        return self._run.briefing

    @property
    def briefing(self) -> Briefing | None:
        return self._run.briefing

    def release(self) -> int | None:
        """Every user is there: the moment at which the barrier opens, told to all workers; None if it is open."""
        if self._run.briefing is None or self._run.released_ns is not None:
            return None
        runner = self._environment.runner
        ahead_s = RELEASE_AHEAD_S if isinstance(runner, MasterRunner) else 0.0
        self._run.released_ns = time.monotonic_ns() + int(ahead_s * 1e9)
        if isinstance(runner, MasterRunner):
            runner.send_message(RELEASE, {"nonce": self._run.briefing.nonce, "at_ns": self._run.released_ns})
        self._run.opened.get().released(self._run.released_ns)
        return self._run.released_ns

    def spent(self, worker: int) -> None:
        """A worker's plan is spent; when every worker's is, the run is over."""
        self._run.spent.add(worker)
        if self._run.expected <= self._run.spent | self._lost_workers():
            self.end_run()

    def end_run(self) -> None:
        """End Locust's run from outside of any of its handlers."""
        runner = self._environment.runner
        assert runner is not None
        gevent.spawn(runner.stop if self._environment.web_ui is not None else runner.quit)

    def load_over(self, own: LoadWorker | None) -> None:
        """The run is being stopped: have every process close, wait for their last words, and let the life go on."""
        if self._run.briefing is None or self._run.load_is_over:
            return
        self._run.load_is_over = True
        try:
            if own is not None:
                own.close(self._interrupts.hurry)
            else:
                self._close_workers(self._run.briefing)
            with contextlib.suppress(OSError):
                self._run.briefing.unmark_folder()
        finally:  # the life waits for it
            self._run.over.set(
                LoadOutcome(
                    workers=tuple(
                        str(index) for index in sorted(self._run.expected | self._joined(self._run.briefing))
                    ),
                    released_ns=self._run.released_ns,
                    ended_ns=time.monotonic_ns(),
                    interrupted=self._interrupts.count > 0,
                    problems=self._user_code_problems(),
                )
            )

    def finish(self) -> None:
        """Wait until the trial is judged, and print what was found. Safe to call again, and from several greenlets."""
        if self._run.life is None or self._run.briefing is None:
            return
        life = self._run.life
        gevent.wait([life])
        if self._run.life is not life:
            return  # another greenlet was faster
        self._run.life = None
        try:
            self._report(life.get())
        except Exception:
            self._codes.append(int(ExitCode.UNPROVEN))
            raise
        finally:
            self._environment.process_exit_code = worst(self._codes)
            if self._run.aim is not None:
                self._run.aim.close()

    def refused(self, error: UsageError) -> None:
        """The user's mistake, found when a run was started: one sentence, and the run does not take place."""
        sys.stderr.write(f"{error}\n")
        self._give_up(ExitCode.USAGE)

    def failed(self) -> None:
        """Something else was wrong when a run was started: it does not take place, and nothing is proven."""
        log.exception("the run could not be started")
        if self._run.life is not None:
            self._run.life.kill()
        self._give_up(ExitCode.UNPROVEN)

    def say_goodbye(self) -> None:
        """Each trial's verdict in a line: Locust prints pages of statistics after the verdict itself."""
        if self._last_words:
            sys.stdout.write("\n" + "\n".join(self._last_words) + "\n")
            sys.stdout.flush()

    def stop(self) -> None:
        """The process ends: nothing that was started here may stay."""
        if self._stack is not None:
            self._stack.stop()
            self._stack = None

    # Parts

    def _load(self, trial: OpenTrial) -> LoadOutcome:
        """The load, as the trial's life sees it."""
        self._run.opened.set(trial)
        outcome: LoadOutcome = self._run.over.get()
        return outcome

    def _give_up(self, code: ExitCode) -> None:
        if self._run.aim is not None:
            self._run.aim.close()
        self._run = _Run()
        self._codes.append(int(code))
        self._environment.process_exit_code = worst(self._codes)
        self.end_run()

    def _size(self, parsed: dict[str, Any]) -> tuple[int, float, float]:
        users = int(parsed.get("num_users") or options.DEFAULT_USERS)
        return users, float(parsed.get("spawn_rate") or users), float(parsed.get("run_time") or 0)

    def _plan(self, chosen: LoadOptions, contender: Contender, aim: Aim, size: dict[str, Any]) -> TrialPlan:
        given: dict[str, Any] = json.loads(os.environ.get("FLASHBENCH_TRIAL") or "{}")
        scenario = self._scenario()
        moment = time.strftime("%Y%m%d-%H%M%S")
        parameters = {name: getattr(chosen, name) for name in options.parameter_names()}
        return TrialPlan(
            trial=given.get("trial") or f"{scenario}-{aim.strategy}-s{chosen.seed}-{moment}",
            strategy=aim.strategy,
            scenario=scenario,
            sale=sale_of(aim.strategy, skus=chosen.skus, stock=chosen.stock, per_user_limit=chosen.per_user_limit),
            quantity=chosen.quantity,
            seed=chosen.seed,
            parameters={**size, **parameters, "load_processes": max(1, len(self._connected_workers()))},
            source=chosen.target or (chosen.strategy if contender.plugin and not contender.control else None),
            control=bool(given.get("control", contender.control)),
            expectation=given.get("expectation") or (f"fail:{contender.breaks}" if contender.breaks else "pass"),
            suite=given.get("suite"),
            case=given.get("case"),
            alone=given.get("alone", True),
            faults=tuple(PlannedFault.model_validate(each) for each in given.get("faults", ())),
            companions=given.get("companions", {}),
            wiring=given.get("wiring", {}),
            fingerprint=given.get("fingerprint") or self._fingerprint,
        )

    def _connected_workers(self) -> set[int]:
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return {0}
        clients = runner.clients.ready + runner.clients.spawning + runner.clients.running
        return {runner.worker_indexes[client.id] for client in clients}

    def _lost_workers(self) -> set[int]:
        """Workers that quit or fell silent: waiting for them is of no use."""
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return set()
        alive = {client.id for client in runner.clients.all if client.state != STATE_MISSING}
        return {index for client_id, index in runner.worker_indexes.items() if client_id not in alive}

    def _close_workers(self, briefing: Briefing) -> None:
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return  # the process' own worker could not begin
        runner.send_message(CLOSE, briefing.packed())
        folder, deadline = Path(briefing.folder), time.monotonic() + CLOSING_LIMIT_S
        while time.monotonic() < deadline and not self._interrupts.hurry():
            silent = {index for index in self._run.expected if not closing_path(folder, str(index)).exists()}
            if not silent - self._lost_workers():
                return
            gevent.sleep(0.05)

    def _joined(self, briefing: Briefing) -> set[int]:
        """Workers that came later, as their files show."""
        names = (path.stem.removeprefix("tries-") for path in Path(briefing.folder).glob("tries-*.bin"))
        return {int(name) for name in names if name.isdigit()}

    def _user_code_problems(self) -> tuple[str, ...]:
        """Locust would end with an exit code of its own for these; here they bar a PASS."""
        runner = self._environment.runner
        assert runner is not None
        problems = [
            f"the locustfile raised {each['count']} times: {each['msg']}" for each in runner.exceptions.values()
        ]
        if locust_log.unhandled_greenlet_exception and not self._run.crashed_before:
            problems.append("an exception in Locust's process was not handled (see its log)")
        return tuple(problems)

    def _report(self, result: TrialResult) -> None:
        if result.verdict is None:
            sys.stdout.write(f"\nUNPROVEN: {result.problem}.\n")
            self._codes.append(int(ExitCode.UNPROVEN))
            self._last_words.append(f"UNPROVEN  {result.folder.name}: {result.problem}")
        else:
            sys.stdout.write(f"\n{self._describe(result.verdict).rstrip()}\nevidence: {result.folder}\n")
            code = ExitCode.of(result.verdict.verdict, result.verdict.validity)
            self._codes.append(int(code))
            self._last_words.append(f"{code.name}  {result.verdict.strategy}, evidence: {result.folder}")
        sys.stdout.flush()
