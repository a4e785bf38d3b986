"""Runs a suite: stacks, one Locust process a trial, evidence, verdict, report."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.companions import companions
from benchmarks.interrupts import Interrupts
from benchmarks.locust_process import LocustProcess
from benchmarks.place import Place
from benchmarks.plan import PlannedRun
from benchmarks.progress import RunProgress
from benchmarks.resuming import running_in, set_aside, suite_in, to_be_run
from benchmarks.suite import Suite
from benchmarks.wiring import Wiring
from flashbench.catalogue import ROOT, card
from flashbench.errors import UsageError
from flashbench.evidence.documents import SUITE, VERDICT, SuiteDocument, VerdictDocument
from flashbench.evidence.whole import publish_text
from flashbench.load.options import defaults, parameter_names
from flashbench.services import StackInfo, StackRequest
from flashbench.services.machine import fingerprint
from reports.comparison.fingerprints import build_differences, speed_differences, work_differences

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A suite that is to be run. ``folder`` is its own, made by ``suite_folder``, or that of a run to be taken up.

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

    def document(self) -> SuiteDocument:
        """As it stands in suite.json, before anything is known of the servers and the machine."""
        work = {
            "suite": self.suite.name,
            "cases": _cases(self),
            "at_once": self.suite.stacks,
            "revision": self.revision,
            "code": _code_digest(),
            "plugins": _plugin_hashes(self.plugins, self.app_folder or ROOT),
            "target_files": _target_hashes(self.runs),
        }
        return SuiteDocument(
            suite=self.suite.name,
            trials=tuple(run.document() for run in self.runs),
            seed=self.seed,
            command=tuple(self.command),
            started_unix_s=time.time(),
            fingerprint={"work": work},
            cards={run.contender.name: found for run in self.runs if (found := card(run.contender))},
        )


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
    """Run suites side by side, each on a stack of its own, taking turns trial by trial.

    False if it was interrupted; what was run until then is judged all the same.
    """
    with ExitStack() as context:
        sides = []
        for request in requests:
            context.enter_context(running_in(request.folder))
            side = _Side(
                request, [context.enter_context(_place(request, progress)) for _ in range(request.suite.stacks)]
            )
            progress.step("measuring the machine and its stores")
            side.begin(progress)
            sides.append(side)
        finished = _run_all(sides, progress)
    for side in sides:
        side.end(finished=finished)
    return finished


def write_suite(folder: Path, document: SuiteDocument) -> None:
    """suite.json, whole or not at all. UsageError if it can't be written."""
    try:
        publish_text(folder / SUITE, document.to_json())
    except OSError as error:
        raise UsageError(f"results can't be written to {folder} ({error.strerror}).") from error


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


def _code_digest() -> str:
    """SHA-256 of the harness and the app as they stand here, whatever git knows of it."""
    digest = hashlib.sha256()
    for package in ("flashbench", "target_app", "reports", "benchmarks", "locustfiles"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


class _Side:
    """One suite at its places, one for each trial that runs at a time."""

    def __init__(self, request: RunRequest, places: Sequence[Place]) -> None:
        self.request, self.places = request, places
        trials = to_be_run(request.folder, [run.trial for run in request.runs])
        self.runs = [run for run in request.runs if run.trial in trials]
        self.document, self.remarks = _with_marks(request, places[0].first, suite_in(request.folder))

    def begin(self, progress: RunProgress) -> None:
        """Write down what is planned, and put aside what an earlier run left unfinished."""
        for remark in self.remarks:
            progress.step(f"unlike when this run was begun: {remark}")
        set_aside(self.request.folder, [run.trial for run in self.runs])
        write_suite(self.request.folder, self.document)

    def end(self, *, finished: bool) -> None:
        """Write down what bars a PASS. UsageError if that can't be done; that trials are missing shows all the same."""
        problems = dict.fromkeys(self.document.problems)
        if _code_digest() != self.document.fingerprint["work"]["code"]:
            problems["the code of the harness or of the app was changed while the suite ran"] = None
        changed = self.document.model_copy(update={"interrupted": not finished, "problems": tuple(problems)})
        with suppress(UsageError) if not problems else nullcontext():
            if changed != self.document:
                write_suite(self.request.folder, changed)

    def start(self, run: PlannedRun, place: Place) -> _RunningTrial:
        """Start one trial."""
        stack = place.stack(run.scenario)
        alone = len(self.places) == 1
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
            "wiring": place.wiring(run.scenario),
            "fingerprint": self.document.fingerprint,
        }
        log = self.request.folder / "logs" / f"{run.trial}.log"
        process = LocustProcess(run, stack, self.request.folder, log, briefing)
        return _RunningTrial(self, run, place, process, log, time.monotonic() + process.limit_s)


@dataclass(frozen=True, slots=True)
class _RunningTrial:
    """A trial's process, and the moment at which it is given up."""

    side: _Side
    run: PlannedRun
    place: Place
    process: LocustProcess
    log: Path
    deadline_s: float

    def ended(self, wait_s: float) -> bool:
        """Wait a moment; True once it is over."""
        return self.process.ended(wait_s) or time.monotonic() > self.deadline_s

    def close(self, progress: RunProgress) -> None:
        """End it, if it has not ended, and say what came of it."""
        self.process.kill()
        folder = self.side.request.folder / self.run.trial
        self.place.see(self.run.scenario, folder)
        progress.done(_outcome(self.run, folder, self.log))


def _place(request: RunRequest, progress: RunProgress) -> Place:
    asked = StackRequest(
        database_url=request.database_url,
        redis_url=request.redis_url,
        plugins=request.plugins,
        app_folder=str(request.app_folder) if request.app_folder is not None else None,
    )
    contenders = dict.fromkeys(run.contender for run in request.runs if run.contender.service is None)
    return Place(asked, request.suite.scenarios, tuple(contenders), progress)


def _with_marks(
    request: RunRequest, stack: StackInfo, begun: SuiteDocument | None
) -> tuple[SuiteDocument, Sequence[str]]:
    """What is planned, with the fingerprint of the servers and the machine that it is run on, and what to remark on it.

    UsageError if these are not those with which the run had ``begun`` that is taken up. That a disk or a store answers
    more slowly than then is a remark: it may be what else the machine does just now.
    """
    planned, marks = request.document(), fingerprint(stack)
    marks["work"] |= planned.fingerprint["work"]
    found = SuiteDocument.from_json(planned.model_copy(update={"fingerprint": marks}).to_json())
    if begun is None:
        return found, ()
    before, now = begun.fingerprint, found.fingerprint
    differences = [
        *work_differences(before["work"], now["work"]),
        *build_differences(before["machine"], now["machine"]),
    ]
    if differences:
        raise UsageError(
            f"{request.folder} was begun under other circumstances ({'; '.join(differences)}): begin anew with --fresh."
        )
    return begun.model_copy(update={"interrupted": False}), speed_differences(before["machine"], now["machine"])


def _run_all(sides: Sequence[_Side], progress: RunProgress) -> bool:
    try:
        progress.step("warming up")
        for side in sides:
            for place in side.places:
                place.warm_up()
        progress.begin()
        return _work_off(deque(_turns(sides)), len(sides[0].places), progress)
    except KeyboardInterrupt:
        return False


def _work_off(turns: deque[tuple[_Side, PlannedRun]], places: int, progress: RunProgress) -> bool:
    """Run the trials, as many at a time as there are places; False if it was interrupted, or could not go on."""
    running: dict[int, _RunningTrial] = {}
    interrupted, stuck, total = False, False, len(turns)
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
                        try:
                            running[place] = side.start(run, side.places[place])
                        except (OSError, UsageError) as trouble:  # a full disk, or no stack to be had any more
                            stuck = True
                            turns.clear()
                            progress.step(f"the suite can't go on: {trouble}")
                for place in [place for place, trial in running.items() if trial.ended(POLL_S / len(running))]:
                    running.pop(place).close(progress)
        finally:
            for trial in running.values():
                trial.close(progress)
    return not interrupts.count and not stuck


def _turns(sides: Sequence[_Side]) -> list[tuple[_Side, PlannedRun]]:
    """Every side's first trial, then every side's second, and so on; who begins is drawn by lot.

    A side may lack some of the trials that the longest has.
    """
    chance = random.Random(sides[0].request.seed)
    by_name = [(side, {run.trial: run for run in side.runs}) for side in sides]
    found = []
    for trial in max((runs for _, runs in by_name), key=len):
        pairs = [(side, runs[trial]) for side, runs in by_name if trial in runs]
        chance.shuffle(pairs)
        found += pairs
    return found


def _outcome(run: PlannedRun, folder: Path, log: Path) -> str:
    """A trial's line."""
    head = f"{run.contender.name}, {run.scenario.label}, seed {run.seed}"
    try:
        verdict = VerdictDocument.from_json((folder / VERDICT).read_bytes())
    except (OSError, ValidationError):
        return f"{head}: no verdict; see {log}"
    broken = [finding.invariant for finding in verdict.findings if finding.status == "broken"]
    found = f"{verdict.verdict} {', '.join(broken)}".rstrip()
    if run.contender.control:
        return f"{head}: {found}, {'caught as expected' if verdict.met else f'expected {run.expectation}'}"
    return f"{head}: {found}{'' if verdict.validity == 'VALID' else f', {verdict.validity}'}"


def _plugin_hashes(plugins: Sequence[str], checkout: Path) -> dict[str, str]:
    """Of each plug-in, with the Python and Lua beside it, by which it may be helped."""
    hashes: dict[str, Any] = {}
    for path in dict.fromkeys(Path(plugin.rpartition(":")[0]) for plugin in plugins):
        root = next((each for each in (checkout, ROOT) if path.is_relative_to(each)), path.parent.parent)
        digest = hashes.setdefault(str(path.relative_to(root)), hashlib.sha256())  # two may go by one name
        digest.update(path.read_bytes())
        for each in sorted({*path.parent.glob("*.py"), *path.parent.glob("*.lua")} - {path}):
            with suppress(OSError):  # such as an editor's lock
                digest.update(each.read_bytes())
    return {name: digest.hexdigest() for name, digest in hashes.items()}


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
            **Wiring.of(scenario).document(),
            **{name: value for name, value in defaults().items() if name in parameter_names()},
            **scenario.parameters,
        }
        for scenario in request.suite.scenarios
    }


def _candidates(path: Path) -> Sequence[Path]:
    return [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
