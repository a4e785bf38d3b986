"""A suite passes only if every trial did what was expected of it, and every scenario caught a control."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.documents import SUITE, PlannedTrial, SuiteDocument, SuiteVerdict
from flashbench.vocabulary import ExitCode, Validity, Verdict
from reports.judging import judge_suite
from tests.bundles import BundleBuilder


class Suite:
    """A suite's folder, filled trial by trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.planned: list[PlannedTrial] = []
        folder.mkdir()

    def plan(self, name: str, strategy: str, **fields: Any) -> BundleBuilder:
        """Plan a trial, and an honest sale for it, not built yet."""
        given: dict[str, Any] = {"scenario": "flash_sale", "seed": 0, **fields}
        self.planned.append(PlannedTrial(trial=name, strategy=strategy, **given))
        return BundleBuilder.honest(self.folder / name, strategy=strategy, **given)

    def run(self, name: str, strategy: str, *, oversell: bool = False, **fields: Any) -> None:
        """Plan a trial and carry it out."""
        sale = self.plan(name, strategy, **fields)
        sale.strategy = strategy
        if oversell:
            sale.change_row(0, quantity=7)
        sale.build()

    def judged(self, **fields: Any) -> SuiteVerdict:
        document = SuiteDocument(suite="quick", trials=tuple(self.planned), **fields)
        (self.folder / SUITE).write_text(document.to_json())
        return judge_suite(self.folder)


CONTROL: dict[str, Any] = {"control": True, "expectation": "fail:I1"}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Two honest trials and a control that oversells, as planned."""
    suite = Suite(tmp_path / "quick")
    suite.run("row_lock-s0", "row_lock")
    suite.run("redis_lua-s0", "redis_lua")
    suite.run("naive-s0", "naive", oversell=True, **CONTROL)
    return suite


def test_a_suite_that_went_as_expected_passes(suite: Suite) -> None:
    verdict = suite.judged()
    assert (verdict.verdict, verdict.validity, verdict.exit_code) == (Verdict.PASS, Validity.VALID, ExitCode.PASS)
    assert verdict.reasons == ()
    assert [trial.trial for trial in verdict.trials] == ["row_lock-s0", "redis_lua-s0", "naive-s0"]
    [control] = verdict.controls
    assert (control.control, control.breaks, control.caught, control.trials) == ("naive", "I1", 1, 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"interrupted": True}, "the run was interrupted"),
        ({"problems": ("the code was changed",)}, "the code was changed"),
    ],
)
def test_a_run_that_did_not_go_as_it_should_proves_nothing(suite: Suite, fields: dict[str, Any], reason: str) -> None:
    verdict = suite.judged(**fields)
    assert (verdict.verdict, verdict.reasons) == (Verdict.UNPROVEN, (reason,))


def test_a_strategy_that_fails_fails_the_suite_by_name(suite: Suite) -> None:
    suite.run("mine-s0", "mine", oversell=True)
    verdict = suite.judged()
    assert verdict.exit_code is ExitCode.FAIL
    assert verdict.reasons[0].startswith(
        "mine-s0 (mine) was expected to pass and FAILs: I1 sku-1 had 5 units, 11 were sold"
    )


def test_a_control_that_is_not_caught_leaves_the_scenario_unproven(tmp_path: Path) -> None:
    suite = Suite(tmp_path / "quick")
    suite.run("row_lock-s0", "row_lock")
    suite.run("naive-s0", "naive", **CONTROL)
    verdict = suite.judged()
    assert verdict.verdict is Verdict.UNPROVEN
    assert verdict.reasons == (
        "the control naive was not caught breaking I1 in scenario flash_sale",
        "scenario flash_sale has no caught control",
    )


def test_a_control_caught_by_another_invariant_is_not_caught(tmp_path: Path) -> None:
    suite = Suite(tmp_path / "quick")
    suite.run("row_lock-s0", "row_lock")
    sale = suite.plan("naive-s0", "naive", **CONTROL)
    sale.strategy = "naive"
    sale.add_read(remaining=-1)
    sale.build()
    assert "the control naive was not caught breaking I1 in scenario flash_sale" in suite.judged().reasons


def test_a_control_needs_to_be_caught_once_in_its_scenario(suite: Suite) -> None:
    suite.run("naive-s1", "naive", **CONTROL)
    verdict = suite.judged()
    assert verdict.verdict is Verdict.PASS
    assert (verdict.controls[0].caught, verdict.controls[0].trials) == (1, 2)


def test_each_scenario_needs_a_caught_control(suite: Suite) -> None:
    suite.run("sustained-s0", "row_lock", scenario="sustained")
    assert suite.judged().reasons == ("scenario sustained has no caught control",)


def test_a_planned_trial_that_is_missing_is_named(suite: Suite) -> None:
    shutil.rmtree(suite.folder / "redis_lua-s0")
    verdict = suite.judged()
    assert (verdict.verdict, verdict.reasons) == (
        Verdict.UNPROVEN,
        ("trial redis_lua-s0 was planned and is missing",),
    )


def test_many_that_are_missing_are_one_sentence(suite: Suite) -> None:
    for seed in range(1, 8):
        suite.run(f"row_lock-s{seed}", "row_lock")
        shutil.rmtree(suite.folder / f"row_lock-s{seed}")
    verdict = suite.judged()
    assert verdict.verdict is Verdict.UNPROVEN
    assert verdict.reasons == ("7 of 10 trials that were planned are missing, the first of them row_lock-s1",)


def test_a_missing_control_is_an_uncaught_one(suite: Suite) -> None:
    shutil.rmtree(suite.folder / "naive-s0")
    assert "scenario flash_sale has no caught control" in suite.judged().reasons


def test_an_unproven_trial_makes_the_suite_unproven(suite: Suite) -> None:
    (suite.folder / "redis_lua-s0" / "ledger.parquet").unlink()
    verdict = suite.judged()
    assert verdict.verdict is Verdict.UNPROVEN
    assert verdict.reasons[0].startswith("redis_lua-s0 (redis_lua) is UNPROVEN: ledger.parquet is missing")


def test_an_unreadable_trial_makes_the_suite_unproven(suite: Suite) -> None:
    (suite.folder / "redis_lua-s0" / "trial.json").write_text("{")
    assert suite.judged().verdict is Verdict.UNPROVEN


def test_a_fail_comes_before_everything_else(suite: Suite) -> None:
    suite.run("mine-s0", "mine", oversell=True)
    shutil.rmtree(suite.folder / "redis_lua-s0")
    assert suite.judged().exit_code is ExitCode.FAIL


def test_an_invalid_trial_makes_the_suite_invalid(suite: Suite) -> None:
    sale = suite.plan("slow-s0", "row_lock")
    sale.trial_fields["fingerprint"] = {"machine": {"scratch_filesystem": "tmpfs"}}
    sale.build()
    verdict = suite.judged()
    assert (verdict.verdict, verdict.exit_code) == (Verdict.PASS, ExitCode.INVALID)
    assert verdict.invalid_reasons[0].startswith("slow-s0: ")


def test_a_trial_that_was_not_planned_is_named(suite: Suite) -> None:
    shutil.copytree(suite.folder / "row_lock-s0", suite.folder / "row_lock-s9")
    assert suite.judged().reasons == ("row_lock-s9 is not a trial of this suite",)


def test_an_honest_trial_can_not_stand_in_for_a_control_or_another_strategy(suite: Suite) -> None:
    shutil.rmtree(suite.folder / "redis_lua-s0")
    shutil.copytree(suite.folder / "row_lock-s0", suite.folder / "redis_lua-s0")
    assert suite.judged().reasons == (
        "the folder redis_lua-s0 holds the trial row_lock-s0",
        "redis_lua-s0 was planned with redis_lua and was run with row_lock",
    )


def test_a_trial_can_not_declare_itself_a_control(suite: Suite) -> None:
    """What is expected of a trial is what the suite says, not what the trial says of itself."""
    sale = suite.plan("mine-s0", "mine")
    sale.strategy = "mine"
    sale.trial_fields |= CONTROL
    sale.change_row(0, quantity=7)
    sale.build()
    assert suite.judged().exit_code is ExitCode.FAIL


@pytest.mark.parametrize("content", [None, "not JSON", "{}"])
def test_without_its_plan_a_suite_is_unproven(suite: Suite, content: str | None) -> None:
    if content is not None:
        (suite.folder / SUITE).write_text(content)
    verdict = judge_suite(suite.folder)
    assert verdict.verdict is Verdict.UNPROVEN
    assert "suite.json" in verdict.reasons[-1]
    assert len(verdict.trials) == 3


def test_without_its_plan_a_failing_trial_still_fails(suite: Suite) -> None:
    suite.run("mine-s0", "mine", oversell=True)
    assert judge_suite(suite.folder).verdict is Verdict.FAIL


def test_a_suite_of_nothing_proves_nothing(tmp_path: Path) -> None:
    assert Suite(tmp_path / "empty").judged().verdict is Verdict.UNPROVEN


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_that_is_no_suites_is_the_users_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a suite's folder"):
        judge_suite(tmp_path / name)


@pytest.mark.parametrize(("caught", "expected"), [(19, Verdict.PASS), (18, Verdict.UNPROVEN)])
def test_of_twenty_trials_of_a_control_one_may_show_nothing(suite: Suite, caught: int, expected: Verdict) -> None:
    for seed in range(1, 20):
        suite.run(f"naive-s{seed}", "naive", oversell=seed < caught, **CONTROL)
    (suite.folder / "naive-s19" / "ledger.parquet").unlink()  # neither caught nor cleared
    verdict = suite.judged()
    (control,) = verdict.controls
    assert (control.caught, control.trials, verdict.verdict) == (caught, 20, expected)
    assert 0.7 < control.at_least < 0.8 or caught == 18
    assert control.purchases is not None
