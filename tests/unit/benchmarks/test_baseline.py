"""If these fail, two revisions are compared on different work, or a new strategy can never be compared at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.baseline import Baseline
from benchmarks.plan import PlannedRun, plan
from benchmarks.runner import _turns
from flashbench.catalogue import ROOT, Contender
from flashbench.errors import UsageError
from tests.unit.benchmarks.test_plan import suite_of


def revision(folder: Path, *strategies: str) -> Baseline:
    """A checkout whose app ships these."""
    for name in strategies:
        source = folder / "target_app" / "strategies" / name / "strategy.py"
        source.parent.mkdir(parents=True)
        source.write_text(f'class Strategy:\n    name = "{name}"\n    summary = "sells"\n')
    return Baseline("b1", folder)


def runs(strategies: list[str]) -> tuple[PlannedRun, ...]:
    return plan(suite_of(strategies, ["wrong"], 1, 2), (), 1)


def side(planned: tuple[PlannedRun, ...]) -> Any:
    return SimpleNamespace(runs=planned, request=SimpleNamespace(seed=1))


def test_a_strategy_that_the_revision_did_not_ship_is_left_out_of_its_trials(tmp_path: Path) -> None:
    new = runs(["old", "added"])
    base = revision(tmp_path, "old").of(new)
    assert [run.trial for run in base] == [run.trial for run in new if run.contender.name != "added"]


def test_trials_of_both_revisions_take_turns_and_what_only_one_has_runs_as_well(tmp_path: Path) -> None:
    new = runs(["old", "added"])
    base = revision(tmp_path, "old").of(new)
    sides = [side(base), side(new)]

    turns = _turns(sides)

    assert [run for each, run in turns if each is sides[0]] == list(base)
    assert [run for each, run in turns if each is sides[1]] == list(new)
    names = [run.trial for _, run in turns]
    assert names == [run.trial for run in new for _ in range(1 if run.contender.name == "added" else 2)]


def test_a_revision_with_none_of_the_strategies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="revision b1 has none of these strategies"):
        revision(tmp_path, "old").of(runs(["added"]))


def test_a_strategy_of_the_checkout_is_the_revisions_and_one_from_elsewhere_stays(tmp_path: Path) -> None:
    earlier = tmp_path / "examples" / "mine.py"
    earlier.parent.mkdir()
    earlier.write_text("class Mine: ...\n")
    mine = Contender("mine", "", f"{ROOT / 'examples' / 'mine.py'}:Mine")
    elsewhere = Contender("elsewhere", "", "/elsewhere.py:Elsewhere")
    (first, *_) = runs(["old"])

    base = revision(tmp_path, "old").of((replace(first, contender=mine), replace(first, contender=elsewhere)))

    assert [run.contender.plugin for run in base] == [f"{earlier}:Mine", "/elsewhere.py:Elsewhere"]
