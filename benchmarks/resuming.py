"""Taking up a suite's run that was cut short: which one, and what of it has to be run again.

A trial is run again only if the harness failed it: it has no verdict, was interrupted, was not carried to its end, or
lost a load worker, records, telemetry, who does the faults, or what it runs: the servers, the proxy, the whole app.
One that is UNPROVEN for what the target did stays as it is, and so does every FAIL, whatever was lost besides: to run
it again until it passes would be no proof.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from benchmarks.telemetry.roll import ENDED_WITHOUT_THE_TARGET
from flashbench.errors import UsageError
from flashbench.evidence.documents import SUITE, TRIAL, VERDICT, SuiteDocument, TrialDocument, VerdictDocument
from flashbench.vocabulary import Verdict

UNFINISHED = "unfinished"  # the folder that keeps what was begun and has to be run again
_SAME_WORK = ("suite", "cases", "at_once", "code", "plugins", "target_files")


def unfinished_run(out: Path, planned: SuiteDocument) -> Path | None:
    """The latest run below ``out`` of just what is planned, with the same code, if part of it has to be run (again)."""
    planned = SuiteDocument.from_json(planned.to_json())  # as what it is compared with was read
    found = [
        (document.started_unix_s or 0.0, folder)
        for folder in out.glob(f"{planned.suite}-*")
        if (document := suite_in(folder)) is not None and _same(document, planned)
    ]
    if not found:
        return None
    _, folder = max(found)
    missing = to_be_run(folder, [each.trial for each in planned.trials])
    return folder if missing and not _is_running(folder) else None


def to_be_run(folder: Path, trials: Sequence[str]) -> list[str]:
    """Those of a suite's trials, by folder name, that have to be run, or run again."""
    return [trial for trial in trials if not is_finished(folder / trial)]


def is_finished(folder: Path) -> bool:
    """Whether the harness carried a trial to its end, whatever came of it."""
    try:
        trial = TrialDocument.from_json((folder / TRIAL).read_bytes())
        verdict = VerdictDocument.from_json((folder / VERDICT).read_bytes())
    except (OSError, ValidationError):
        return False
    if verdict.verdict is Verdict.FAIL:
        return True
    closed = {each.worker for each in trial.closings}
    whole = trial.moments.collected_ns is not None and closed >= set(trial.workers)
    lost = trial.stores_lost or trial.companions_lost or any(each.records_lost for each in trial.closings)
    return whole and not trial.interrupted and not lost and ENDED_WITHOUT_THE_TARGET.isdisjoint(trial.problems)


def set_aside(folder: Path, trials: Sequence[str]) -> None:
    """Move what was begun of these trials to where it is kept and not counted."""
    for trial in trials:
        if (folder / trial).exists():
            kept = folder / UNFINISHED
            kept.mkdir(exist_ok=True)
            number = 1 + sum(1 for _ in kept.glob(f"{trial}.*"))
            (folder / trial).rename(kept / f"{trial}.{number}")


@contextmanager
def running_in(folder: Path) -> Iterator[None]:
    """Say, for as long as the context lasts, that a run writes to the folder. UsageError if another one does."""
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another run writes to {folder}: wait for its end, or name another folder with --out."
            ) from None
        yield
    finally:
        os.close(place)


def suite_in(folder: Path) -> SuiteDocument | None:
    """What was planned by the run in a folder; None if there is none."""
    try:
        return SuiteDocument.from_json((folder / SUITE).read_bytes())
    except (OSError, ValidationError):
        return None


def _same(found: SuiteDocument, planned: SuiteDocument) -> bool:
    before, now = found.fingerprint.get("work", {}), planned.fingerprint["work"]
    same_work = all(before.get(name) == now.get(name) for name in _SAME_WORK)
    return same_work and (found.trials, found.seed) == (planned.trials, planned.seed)


def _is_running(folder: Path) -> bool:
    try:
        with running_in(folder):
            return False
    except (UsageError, OSError):
        return True
