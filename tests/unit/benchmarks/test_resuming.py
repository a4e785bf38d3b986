"""If these fail, a run that was cut short begins anew for hours, or a verdict that displeases is rolled again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.resuming import running_in, set_aside, to_be_run, unfinished_run
from benchmarks.telemetry.roll import ENDED_WITHOUT_THE_TARGET
from flashbench import UsageError
from flashbench.evidence.documents import SUITE, TRIAL, PlannedTrial, SuiteDocument, TrialDocument
from reports.judging.trial import judge
from tests.bundles import BundleBuilder

NAMES = ("001-a", "002-b")
WORK = {"suite": "mine", "cases": {}, "at_once": 1, "revision": "a1", "code": "b2", "plugins": {}, "target_files": {}}


def planned(**work: Any) -> SuiteDocument:
    trials = tuple(PlannedTrial(trial=name, strategy="row_lock", scenario="flash_sale", seed=1) for name in NAMES)
    return SuiteDocument(
        suite="mine", trials=trials, seed=1, started_unix_s=1.0, fingerprint={"work": {**WORK, **work}}
    )


def run_of(out: Path, name: str, document: SuiteDocument, finished: int) -> Path:
    """A run's folder in which the first trials were finished."""
    folder = out / name
    folder.mkdir()
    (folder / SUITE).write_text(document.to_json())
    for trial in NAMES[:finished]:
        judge(BundleBuilder.honest(folder / trial).build())
    return folder


def test_the_latest_run_of_the_same_work_is_taken_up_where_it_was(tmp_path: Path) -> None:
    run_of(tmp_path, "mine-1", planned(), 1)
    later = run_of(tmp_path, "mine-2", planned().model_copy(update={"started_unix_s": 2.0, "interrupted": True}), 1)

    assert unfinished_run(tmp_path, planned(revision="a2, of the same code")) == later
    assert to_be_run(later, NAMES) == ["002-b"]


def test_a_finished_run_is_left_alone_and_so_is_one_that_goes_on(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 2)
    assert unfinished_run(tmp_path, planned()) is None

    (folder / "002-b" / "verdict.json").unlink()
    assert unfinished_run(tmp_path, planned()) == folder
    with running_in(folder):
        assert unfinished_run(tmp_path, planned()) is None
        with pytest.raises(UsageError, match="another run writes to"), running_in(folder):
            pass


@pytest.mark.parametrize(
    "other",
    [
        {"code": "b3"},
        {"cases": {"x": 1}},
        {"at_once": 2},
        {"plugins": {"p.py": "1"}},
        {"target_files": {"t": "1"}},
    ],
)
def test_other_work_is_begun_anew(tmp_path: Path, other: dict[str, Any]) -> None:
    run_of(tmp_path, "mine-1", planned(), 1)
    assert unfinished_run(tmp_path, planned(**other)) is None


def test_what_the_harness_lost_is_run_again_and_kept(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 0)
    lost = BundleBuilder.honest(folder / "001-a")
    lost.without_closing.add("1")
    judge(lost.build())
    judge(BundleBuilder.honest(folder / "002-b", interrupted=True).build())
    assert to_be_run(folder, NAMES) == list(NAMES)
    shutil.rmtree(folder / "002-b")
    judge(BundleBuilder.honest(folder / "002-b", stores_lost=True).build())

    assert to_be_run(folder, NAMES) == list(NAMES)
    set_aside(folder, NAMES)
    assert sorted(path.name for path in (folder / "unfinished").iterdir()) == ["001-a.1", "002-b.1"]
    assert not any((folder / name).exists() for name in NAMES)


@pytest.mark.parametrize(
    "lost",
    [{"companions_lost": True}, *({"problems": (sentence,)} for sentence in sorted(ENDED_WITHOUT_THE_TARGET))],
    ids=lambda lost: str(next(iter(lost.values()))),
)
def test_what_lost_a_part_that_is_not_the_target_is_run_again(tmp_path: Path, lost: dict[str, Any]) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 0)
    judge(BundleBuilder.honest(folder / "001-a", **lost).build())
    assert "001-a" in to_be_run(folder, NAMES)


def test_a_failure_is_never_rolled_again_whatever_was_lost_besides(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 1)
    sale = BundleBuilder.honest(folder / "002-b", companions_lost=True, interrupted=True)
    sale.ledger.append(replace(sale.ledger[0], order_id="one-too-many", key="of-nobody"))
    verdict = judge(sale.build())
    assert verdict.verdict == "FAIL", verdict.reasons
    assert to_be_run(folder, NAMES) == []


def test_what_lost_records_for_want_of_room_is_run_again(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 1)
    trial = TrialDocument.from_json((folder / "001-a" / TRIAL).read_bytes())
    closings = tuple(each.model_copy(update={"records_lost": True}) for each in trial.closings)
    (folder / "001-a" / TRIAL).write_text(trial.model_copy(update={"closings": closings}).to_json())
    assert "001-a" in to_be_run(folder, NAMES)


def test_a_trial_that_is_unproven_for_what_the_target_did_is_not_rolled_again(tmp_path: Path) -> None:
    folder = run_of(tmp_path, "mine-1", planned(), 0)
    ended = "a process of the app ended during the load, which no fault had planned"
    trial = BundleBuilder.honest(folder / "001-a", problems=("the system did not come to rest", ended))
    assert judge(trial.build()).verdict == "UNPROVEN"

    assert to_be_run(folder, NAMES) == ["002-b"]
