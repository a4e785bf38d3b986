"""Wires the harness into Locust's events. Every locustfile calls ``install``; only the first call of a process counts.

The order in which Locust calls listeners at the end matters: ``quitting`` runs them in reverse order of registration.
On a worker the listener is therefore registered at ``init``, after Locust's own, so that the evidence is handed in
before Locust tells the master that the worker is gone; elsewhere at import, so that Locust has stopped its run before.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent.lock import RLock
from locust import log as locust_log
from locust.env import Environment
from locust.event import Events
from locust.runners import MasterRunner, WorkerRunner

from flashbench.errors import UsageError
from flashbench.evidence.documents import VerdictDocument
from flashbench.load import arguments
from flashbench.load.briefing import Briefing, clock_name
from flashbench.load.buyer import Buyer
from flashbench.load.conductor import BRIEFING, CLOSE, RELEASE, Conductor
from flashbench.load.interrupts import Interrupts
from flashbench.load.orphans import end_forks_with_parent, watch_parent
from flashbench.load.shipping import PIECE, receive, ship
from flashbench.load.worker import LoadWorker
from flashbench.trial.life import JudgesTrials
from flashbench.vocabulary import ExitCode

SPENT = "flashbench:spent"

_installed: dict[int, _Installation] = {}


def install(
    events: Events,
    *,
    judge: JudgesTrials,
    describe: Callable[[VerdictDocument], str],
    scenario: str,
) -> None:
    """Make Locust open a sale at every start, record every try, and judge the evidence at the end.

    ``judge`` derives a trial's verdict from its sealed folder, and is told when it will soon be needed; ``describe``
    puts it into words for the terminal. Several locustfiles in one run share one sale, and the scenario is called
    after all of them.
    """
    found = _installed.get(id(events))
    if found is None:
        found = _installed[id(events)] = _Installation(events, judge, describe)
        end_forks_with_parent()
    found.scenarios.add(scenario)


class _Installation:
    """The listeners of one process."""

    def __init__(
        self,
        events: Events,
        judge: JudgesTrials,
        describe: Callable[[VerdictDocument], str],
    ) -> None:
        self.scenarios: set[str] = set()
        self._judge, self._describe = judge, describe
        self._interrupts = Interrupts()
        self._conductor: Conductor | None = None
        self._remote_folder: Path | None = None  # where a worker writes that does not see the trial's folder
        self._crashed_before = False  # an exception went unhandled, before the trial that a worker takes part in
        self._arguments_checked = False
        self._quitting_lock = RLock()
        self._has_quit = False
        hooks: Any = events  # Locust's own annotations leave its hooks untyped
        self._hooks = hooks
        hooks.init_command_line_parser.add_listener(self._on_parser)
        hooks.init.add_listener(self._on_init)
        hooks.test_start.add_listener(self._on_test_start)
        hooks.spawning_complete.add_listener(self._on_spawning_complete)
        hooks.test_stopping.add_listener(self._on_test_stopping)
        hooks.test_stop.add_listener(self._on_test_stop)
        hooks.quitting.add_listener(self._on_quitting)
        hooks.quit.add_listener(self._on_quit)

    # Every process

    def _on_parser(self, parser: Any, **_: Any) -> None:
        # Locust's web UI makes the parser anew for every page.
        arguments.add_arguments(parser, None if self._arguments_checked else self._check_arguments)

    def _check_arguments(self, parsed: argparse.Namespace) -> None:
        self._arguments_checked = True
        arguments.check(parsed)

    def _on_init(self, environment: Environment, runner: Any, **_: Any) -> None:
        self._interrupts.listen()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for every request of the drain
        if isinstance(runner, WorkerRunner):
            runner.register_message(RELEASE, self._on_release)
            runner.register_message(CLOSE, self._on_close, concurrent=True)
            self._hooks.quitting.add_listener(self._on_worker_quitting)
            if environment.parsed_options is not None and environment.parsed_options.processes:
                watch_parent(runner)
        else:
            self._prepare(environment, runner)

    def _on_test_start(self, environment: Environment, **_: Any) -> None:
        self._interrupts.idle = False
        self._interrupts.ready()
        if self._conductor is None:
            packed = vars(environment.parsed_options).get(BRIEFING)
            if packed is not None:
                self._join(environment, Briefing.unpacked(packed))
            return
        Buyer.load = None
        try:
            briefing = self._conductor.start()
        except UsageError as error:
            self._conductor.refused(error)
            return
        except Exception:  # noqa: BLE001 - Locust would go on as if nothing had happened
            self._conductor.failed()
            return
        if not isinstance(environment.runner, MasterRunner):
            try:
                Buyer.load = LoadWorker(briefing, 0, Path(briefing.folder), self._conductor.end_run)
            except (UsageError, OSError) as error:
                sys.stderr.write(f"{error}\n")
                self._conductor.end_run()

    def _on_test_stopping(self, environment: Environment, **_: Any) -> None:
        self._interrupts.stopping()
        if self._conductor is not None:
            self._conductor.load_over(Buyer.load)
        else:
            self._hand_in(environment)

    # The process that opens the sale

    def _prepare(self, environment: Environment, runner: Any) -> None:
        self._interrupts.idle = True
        self._conductor = Conductor(
            environment, self._interrupts, lambda: "+".join(sorted(self.scenarios)), self._judge, self._describe
        )
        atexit.register(self._conductor.stop)
        if isinstance(runner, MasterRunner):
            runner.register_message(PIECE, self._on_piece)
            runner.register_message(SPENT, self._on_spent)
        try:
            self._conductor.prepare()
        except UsageError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(int(ExitCode.USAGE)) from None
        # Headless, Locust is not prepared for an interrupt until the run has started.
        self._interrupts.idle = environment.web_ui is None

    def _on_spawning_complete(self, **_: Any) -> None:
        if self._conductor is None:
            return  # a worker hears of the release by a message of its own
        at_ns = self._conductor.release()
        if at_ns is not None and Buyer.load is not None:
            Buyer.load.release(at_ns)

    def _on_test_stop(self, environment: Environment, **_: Any) -> None:
        if self._conductor is not None:
            self._conductor.finish()
        if environment.web_ui is not None or isinstance(environment.runner, WorkerRunner):
            self._interrupts.ready()  # there may be another run

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        if self._conductor is None:
            return
        with self._quitting_lock:  # a SIGTERM and the end of the run may both get here
            if self._has_quit:
                return
            self._has_quit = True
            self._interrupts.quitting()
            try:
                assert environment.runner is not None
                environment.runner.stop()
                self._conductor.finish()
            finally:
                self._conductor.stop()

    def _on_quit(self, **_: Any) -> None:
        if self._conductor is not None:
            self._conductor.say_goodbye()

    def _on_piece(self, msg: Any, **_: Any) -> None:
        if self._conductor is not None and self._conductor.briefing is not None:
            receive(self._conductor.briefing, msg.data)

    def _on_spent(self, msg: Any, **_: Any) -> None:
        if self._conductor is not None:
            self._conductor.spent(int(msg.data["worker"]))

    # A worker

    def _join(self, environment: Environment, briefing: Briefing) -> None:
        """Take part in a trial, once: Locust starts a worker anew when users of a lost one are handed to it."""
        if Buyer.load is not None and Buyer.load.briefing.nonce == briefing.nonce:
            return
        runner = environment.runner
        assert isinstance(runner, WorkerRunner)
        self._crashed_before = locust_log.unhandled_greenlet_exception
        index = runner.worker_index
        folder = Path(briefing.folder)
        if not briefing.sees_folder():
            folder = self._remote_folder = Path(tempfile.mkdtemp(prefix="flashbench-worker-"))
        Buyer.load = LoadWorker(briefing, index, folder, lambda: runner.send_message(SPENT, {"worker": index}))

    def _on_release(self, environment: Environment, msg: Any, **_: Any) -> None:
        load = Buyer.load
        if load is not None and load.briefing.nonce == msg.data["nonce"]:
            shared_clock = load.briefing.clock == clock_name()
            load.release(msg.data["at_ns"] if shared_clock else time.monotonic_ns())

    def _on_close(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._join(environment, Briefing.unpacked(msg.data))  # if it was given no user, it says so
        self._hand_in(environment)

    def _hand_in(self, environment: Environment) -> None:
        load, runner = Buyer.load, environment.runner
        if load is None:
            return
        if locust_log.unhandled_greenlet_exception and not self._crashed_before:
            load.note("an exception in this process was not handled (see its log)")
        closing = load.close(self._interrupts.hurry)
        if self._remote_folder is not None and closing is not None:
            folder, self._remote_folder = self._remote_folder, None
            assert isinstance(runner, WorkerRunner)
            ship(folder, load.label, load.briefing, runner.send_message)
            shutil.rmtree(folder, ignore_errors=True)

    def _on_worker_quitting(self, environment: Environment, **_: Any) -> None:
        self._interrupts.quitting()
        assert environment.runner is not None
        environment.runner.stop()
        environment.process_exit_code = 0  # the master answers for the run
