"""Runs a suite: one stack, one Locust process a trial, evidence, verdict, report."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.companions import companions
from benchmarks.interrupts import Interrupts
from benchmarks.locust_process import LocustProcess
from benchmarks.plan import PlannedRun
from benchmarks.progress import RunProgress
from benchmarks.suite import Suite
from benchmarks.warm_up import warm_up
from flashbench.catalogue import ROOT, card
from flashbench.errors import UsageError
from flashbench.evidence.documents import VERDICT, SuiteDocument, VerdictDocument
from flashbench.load.options import defaults, parameter_names
from flashbench.services import Stack, StackInfo, StackRequest
from flashbench.services.machine import fingerprint
from flashbench.target.http import HttpTarget

SUITE_FILE = "suite.json"
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A suite that is to be run. ``folder`` is its own, made by ``suite_folder``.

    ``app_folder`` holds the ``target_app`` to run, if it is not this checkout's; ``revision`` is the code's.
    """

    suite: Suite
    runs: tuple[PlannedRun, ...]
    folder: Path
    seed: int
    command: Sequence[str]
    revision: str
    database_url: str | None = None
    redis_url: str | None = None
    app_folder: Path | None = None

    @property
    def plugins(self) -> tuple[str, ...]:
        """What the app has to be told of at start."""
        return tuple(dict.fromkeys(run.contender.plugin for run in self.runs if run.contender.plugin))


def suite_folder(out: Path, suite: Suite) -> Path:
    """``<suite>-<time>`` below ``out``, made; UsageError if it can't be, or can't be written to."""
    name = f"{suite.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = next(path for path in _candidates(out / name) if not path.exists())
        (folder / "logs").mkdir(parents=True)
        probe = folder / ".probe"
        probe.write_bytes(b"\0" * 65536)
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"results can't be written to {out} ({error.strerror}): name another folder with --out."
        ) from None
    return folder


def run_suites(requests: Sequence[RunRequest], progress: RunProgress) -> bool:
    """Run suites of equal length side by side, each on a stack of its own, taking turns trial by trial.

    False if it was interrupted; what was run until then is judged all the same.
    """
    with ExitStack() as stacks:
        sides = [
            _Side(request, [stacks.enter_context(_stack(request, progress)).info for _ in range(request.suite.stacks)])
            for request in requests
        ]
        for side in sides:
            progress.step("measuring the machine and its stores")
            side.begin()
        finished = _run_all(sides, progress)
    if not finished:
        for side in sides:
            side.interrupted()
    return finished


def write_suite(folder: Path, document: SuiteDocument) -> None:
    """suite.json, whole or not at all."""
    draft = folder / f"{SUITE_FILE}.draft"
    draft.write_text(document.to_json())
    draft.replace(folder / SUITE_FILE)


def current_revision() -> str:
    """The checkout's git revision, with a mark if it was changed since; ``unknown`` outside a checkout."""
    try:
        shown = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return shown.stdout.strip()


class _Side:
    """One suite on its stacks, one for each trial that runs at a time."""

    def __init__(self, request: RunRequest, stacks: Sequence[StackInfo]) -> None:
        self.request, self.stacks = request, stacks
        marks = fingerprint(stacks[0])
        marks["work"] |= {
            "suite": request.suite.name,
            "cases": _cases(request),
            "at_once": len(stacks),
            "revision": request.revision,
            "plugins": _plugin_hashes(request.plugins),
            "target_files": _target_hashes(request.runs),
        }
        self.document = SuiteDocument(
            suite=request.suite.name,
            trials=tuple(run.document() for run in request.runs),
            seed=request.seed,
            command=tuple(request.command),
            started_unix_s=time.time(),
            fingerprint=marks,
            cards={run.contender.name: found for run in request.runs if (found := card(run.contender))},
        )

    def begin(self) -> None:
        """Write down what is planned."""
        write_suite(self.request.folder, self.document)

    def interrupted(self) -> None:
        """Write down that not all of it was run."""
        write_suite(self.request.folder, self.document.model_copy(update={"interrupted": True}))

    def start(self, run: PlannedRun, stack: StackInfo) -> _RunningTrial:
        """Start one trial."""
        alone = len(self.stacks) == 1
        watched = alone and run.contender.service is None
        briefing = {
            "trial": run.trial,
            "suite": self.request.suite.name,
            "case": run.scenario.label,
            "alone": alone,
            "control": run.contender.control,
            "expectation": run.expectation,
            "faults": [each.model_dump() for each in run.scenario.faults],
            "companions": companions(run, stack, watched=watched),
            "fingerprint": self.document.fingerprint,
        }
        log = self.request.folder / "logs" / f"{run.trial}.log"
        process = LocustProcess(run, stack, self.request.folder, log, briefing)
        return _RunningTrial(self, run, process, log, time.monotonic() + process.limit_s)


@dataclass(frozen=True, slots=True)
class _RunningTrial:
    """A trial's process, and the moment at which it is given up."""

    side: _Side
    run: PlannedRun
    process: LocustProcess
    log: Path
    deadline_s: float

    def ended(self, wait_s: float) -> bool:
        """Wait a moment; True once it is over."""
        return self.process.ended(wait_s) or time.monotonic() > self.deadline_s

    def close(self, progress: RunProgress) -> None:
        """End it, if it has not ended, and say what came of it."""
        self.process.kill()
        progress.done(_outcome(self.run, self.side.request.folder / self.run.trial, self.log))


def _stack(request: RunRequest, progress: RunProgress) -> Stack:
    return Stack.start(
        StackRequest(
            database_url=request.database_url,
            redis_url=request.redis_url,
            plugins=request.plugins,
            app_folder=str(request.app_folder) if request.app_folder is not None else None,
        ),
        progress=progress.step,
    )


def _run_all(sides: Sequence[_Side], progress: RunProgress) -> bool:
    try:
        progress.step("warming up")
        for side in sides:
            for stack in side.stacks:
                warm_up(stack, _registered_names(side.request, stack))
        progress.begin()
        return _work_off(deque(_turns(sides)), len(sides[0].stacks), progress)
    except KeyboardInterrupt:
        return False


def _work_off(turns: deque[tuple[_Side, PlannedRun]], places: int, progress: RunProgress) -> bool:
    """Run the trials, as many at a time as there are places; False if it was interrupted."""
    running: dict[int, _RunningTrial] = {}
    interrupted, total = False, len(turns)
    one_suite = len({id(side) for side, _ in turns}) == 1

    def which(side: _Side) -> str:
        return "" if one_suite else f" ({side.request.folder.name})"

    with Interrupts() as interrupts:
        try:
            while (turns or running) and interrupts.count < 2:
                if interrupts.count and not interrupted:
                    interrupted = True
                    turns.clear()
                    progress.step("interrupted: judging what there is (once more to stop at once)")
                    for trial in running.values():
                        trial.process.interrupt()
                for place in set(range(places)) - set(running):
                    if turns:
                        side, run = turns.popleft()
                        what = f"{run.contender.name}, {run.scenario.label}, seed {run.seed}{which(side)}"
                        progress.step(f"trial {total - len(turns)} of {total}: {what}")
                        running[place] = side.start(run, side.stacks[place])
                for place in [place for place, trial in running.items() if trial.ended(POLL_S / len(running))]:
                    running.pop(place).close(progress)
        finally:
            for trial in running.values():
                trial.close(progress)
    return not interrupts.count


def _turns(sides: Sequence[_Side]) -> list[tuple[_Side, PlannedRun]]:
    """Every side's first trial, then every side's second, and so on; who begins is drawn by lot."""
    chance = random.Random(sides[0].request.seed)
    found = []
    for runs in zip(*(side.request.runs for side in sides), strict=True):
        pairs = list(zip(sides, runs, strict=True))
        chance.shuffle(pairs)
        found += pairs
    return found


def _outcome(run: PlannedRun, folder: Path, log: Path) -> str:
    """A trial's line."""
    head = f"{run.contender.name}, {run.scenario.label}, seed {run.seed}"
    path = folder / VERDICT
    if not path.exists():
        return f"{head}: no verdict; see {log}"
    verdict = VerdictDocument.from_json(path.read_bytes())
    broken = [finding.invariant for finding in verdict.findings if finding.status == "broken"]
    found = f"{verdict.verdict} {', '.join(broken)}".rstrip()
    if run.contender.control:
        return f"{head}: {found}, {'caught as expected' if verdict.met else f'expected {run.expectation}'}"
    return f"{head}: {found}{'' if verdict.validity == 'VALID' else f', {verdict.validity}'}"


def _registered_names(request: RunRequest, stack: StackInfo) -> list[str]:
    assert stack.base_url is not None
    target = HttpTarget(stack.base_url, stack.admin_token)
    try:
        offer = target.offer()
    finally:
        target.close()
    contenders = dict.fromkeys(run.contender for run in request.runs if run.contender.service is None)
    names = [offer.registered_name(each.name, each.plugin) for each in contenders]
    return [name for name in names if name is not None]


def _plugin_hashes(plugins: Sequence[str]) -> dict[str, str]:
    paths = [Path(plugin.rpartition(":")[0]) for plugin in plugins]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _target_hashes(runs: Sequence[PlannedRun]) -> dict[str, str]:
    """Of the target files of services that are not the reference app."""
    services = {run.contender.name: run.contender.service for run in runs if run.contender.service is not None}
    return {name: hashlib.sha256(each.target_file.read_bytes()).hexdigest() for name, each in services.items()}


def _cases(request: RunRequest) -> dict[str, dict[str, Any]]:
    """What every case asks for, with all that has a default."""
    return {
        scenario.label: {
            "scenario": scenario.name,
            "users": scenario.users,
            "run_time_s": scenario.run_time_s,
            "processes": scenario.processes,
            "faults": [each.model_dump() for each in scenario.faults],
            **{name: value for name, value in defaults().items() if name in parameter_names()},
            **scenario.parameters,
        }
        for scenario in request.suite.scenarios
    }


def _candidates(path: Path) -> Sequence[Path]:
    return [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
