"""Runs a suite: one stack, one Locust process a trial, evidence, verdict, report."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.companions import companions
from benchmarks.locust_process import LocustProcess
from benchmarks.plan import PlannedRun
from benchmarks.progress import RunProgress
from benchmarks.suite import Suite
from benchmarks.warm_up import warm_up
from flashbench.catalogue import ROOT, card
from flashbench.errors import UsageError
from flashbench.evidence.documents import VERDICT, SuiteDocument, VerdictDocument
from flashbench.services import Stack, StackInfo, StackRequest
from flashbench.services.machine import fingerprint
from flashbench.target.http import HttpTarget

SUITE_FILE = "suite.json"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A suite that is to be run. ``folder`` is its own, made by ``suite_folder``."""

    suite: Suite
    runs: tuple[PlannedRun, ...]
    folder: Path
    seed: int
    command: Sequence[str]
    database_url: str | None = None
    redis_url: str | None = None


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


def run_suite(request: RunRequest, progress: RunProgress) -> bool:
    """Run every trial in order. False if it was interrupted; what was run until then is judged all the same."""
    plugins = tuple(dict.fromkeys(run.contender.plugin for run in request.runs if run.contender.plugin))
    wanted = StackRequest(database_url=request.database_url, redis_url=request.redis_url, plugins=plugins)
    with Stack.start(wanted, progress=progress.step) as stack:
        progress.step("measuring the machine and its stores")
        marks = fingerprint(stack.info)
        marks["work"] |= {"suite": request.suite.name, "revision": revision(), "plugins": _plugin_hashes(plugins)}
        document = SuiteDocument(
            suite=request.suite.name,
            trials=tuple(run.document() for run in request.runs),
            seed=request.seed,
            command=tuple(request.command),
            started_unix_s=time.time(),
            fingerprint=marks,
            cards={run.contender.name: found for run in request.runs if (found := card(run.contender))},
        )
        write_suite(request.folder, document)
        finished = _run_all(request, stack.info, document, progress)
    if not finished:
        write_suite(request.folder, document.model_copy(update={"interrupted": True}))
    return finished


def write_suite(folder: Path, document: SuiteDocument) -> None:
    """suite.json, whole or not at all."""
    draft = folder / f"{SUITE_FILE}.draft"
    draft.write_text(document.to_json())
    draft.replace(folder / SUITE_FILE)


def revision() -> str:
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


def _run_all(request: RunRequest, stack: StackInfo, document: SuiteDocument, progress: RunProgress) -> bool:
    try:
        progress.step("warming up")
        warm_up(stack, _registered_names(request, stack))
        progress.begin()
        for number, run in enumerate(request.runs, start=1):
            progress.step(
                f"trial {number} of {len(request.runs)}: {run.contender.name}, {run.scenario.label}, seed {run.seed}"
            )
            if not _run_one(request, run, stack, document, progress):
                return False
    except KeyboardInterrupt:
        return False
    return True


def _run_one(
    request: RunRequest, run: PlannedRun, stack: StackInfo, document: SuiteDocument, progress: RunProgress
) -> bool:
    """One trial; False if it was interrupted."""
    briefing = {
        "trial": run.trial,
        "suite": request.suite.name,
        "case": run.scenario.label,
        "control": run.contender.control,
        "expectation": run.expectation,
        "faults": [each.model_dump() for each in run.scenario.faults],
        "companions": companions(run, stack),
        "fingerprint": document.fingerprint,
    }
    log = request.folder / "logs" / f"{run.trial}.log"
    process = LocustProcess(run, stack, request.folder, log, briefing)
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
    progress.done(_outcome(run, request.folder / run.trial, log))
    return not interrupted


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


def _candidates(path: Path) -> Sequence[Path]:
    return [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
