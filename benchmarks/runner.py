"""Runs a suite: one stack, one Locust process a trial, evidence, verdict, report."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.companions import companions
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
        sides = [_Side(request, stacks.enter_context(_stack(request, progress)).info) for request in requests]
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
    """One suite on its stack."""

    def __init__(self, request: RunRequest, stack: StackInfo) -> None:
        self.request, self.stack = request, stack
        marks = fingerprint(stack)
        marks["work"] |= {
            "suite": request.suite.name,
            "cases": _cases(request),
            "revision": request.revision,
            "plugins": _plugin_hashes(request.plugins),
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

    def run(self, run: PlannedRun, progress: RunProgress) -> bool:
        """One trial; False if it was interrupted."""
        briefing = {
            "trial": run.trial,
            "suite": self.request.suite.name,
            "case": run.scenario.label,
            "control": run.contender.control,
            "expectation": run.expectation,
            "faults": [each.model_dump() for each in run.scenario.faults],
            "companions": companions(run, self.stack),
            "fingerprint": self.document.fingerprint,
        }
        log = self.request.folder / "logs" / f"{run.trial}.log"
        process = LocustProcess(run, self.stack, self.request.folder, log, briefing)
        deadline = time.monotonic() + process.limit_s
        interrupted = False
        try:
            while time.monotonic() < deadline:
                try:
                    if process.ended():
                        break
                except KeyboardInterrupt:
                    if interrupted:
                        break
                    interrupted = True
                    progress.step("interrupted: judging what there is (once more to stop at once)")
                    process.interrupt()
        finally:
            process.kill()
        progress.done(_outcome(run, self.request.folder / run.trial, log))
        return not interrupted


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
            warm_up(side.stack, _registered_names(side.request, side.stack))
        progress.begin()
        turns = _turns(sides)
        for number, (side, run) in enumerate(turns, start=1):
            which = f" ({side.request.folder.name})" if len(sides) > 1 else ""
            what = f"{run.contender.name}, {run.scenario.label}, seed {run.seed}{which}"
            progress.step(f"trial {number} of {len(turns)}: {what}")
            if not side.run(run, progress):
                return False
    except KeyboardInterrupt:
        return False
    return True


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
    contenders = dict.fromkeys(run.contender for run in request.runs)
    names = [offer.registered_name(each.name, each.plugin) for each in contenders]
    return [name for name in names if name is not None]


def _plugin_hashes(plugins: Sequence[str]) -> dict[str, str]:
    paths = [Path(plugin.rpartition(":")[0]) for plugin in plugins]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


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
