"""If these fail, a suite runs less than it says, without its controls, or one strategy on a warm machine only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plan import plan
from benchmarks.suite import Scenario, Suite
from flashbench.catalogue import Contender

names = st.lists(st.text("abcdef_", min_size=1, max_size=6), min_size=1, max_size=4, unique=True)


def suite_of(strategies: list[str], controls: list[str], scenarios: int, seeds: int) -> Suite:
    return Suite(
        name="made-up",
        path=Path("made-up.toml"),
        summary="",
        strategies=tuple(Contender(name, "") for name in strategies),
        controls=tuple(Contender(f"control-{name}", "", f"/{name}.py:C", "I1") for name in controls),
        seeds=seeds,
        scenarios=tuple(
            Scenario(f"scenario-{number}", f"scenario-{number}", Path("x.py")) for number in range(scenarios)
        ),
    )


@given(names, names, st.integers(1, 3), st.integers(1, 5), st.integers(0, 99))
def test_everything_meets_everything_once_a_seed(
    strategies: list[str], controls: list[str], scenarios: int, seeds: int, seed: int
) -> None:
    suite = suite_of(strategies, controls, scenarios, seeds)

    runs = plan(suite, (), seed)

    met = {(run.contender, run.scenario.name, run.seed) for run in runs}
    contenders = {*suite.strategies, *suite.controls}
    assert met == {(c, s.name, seed + n) for c in contenders for s in suite.scenarios for n in range(seeds)}
    assert len(runs) == len(met) == len({run.trial for run in runs})
    block = len(contenders) * scenarios
    for start in range(0, len(runs), block):  # no strategy is bunched: each repetition holds all of them
        assert {run.contender for run in runs[start : start + block]} == contenders
    assert plan(suite, (), seed) == runs


def test_a_scenario_may_be_for_some_of_the_strategies() -> None:
    suite = suite_of(["a", "b"], ["c"], 2, 1)
    first, second = suite.scenarios
    suite = replace(suite, scenarios=(replace(first, strategies=suite.strategies[:1]), second))
    mine = Contender("mine", "", "/mine.py:Mine")

    def met(*chosen: Contender) -> set[tuple[str, str]]:
        return {(run.contender.name, run.scenario.name) for run in plan(suite, chosen, 1)}

    both = {("a", "scenario-1"), ("b", "scenario-1"), ("control-c", "scenario-0"), ("control-c", "scenario-1")}
    assert met() == {("a", "scenario-0"), *both}
    assert met(suite.strategies[1], mine) == {("mine", "scenario-1"), *both} - {("a", "scenario-1")}


@given(names, names)
def test_a_choice_replaces_the_strategies_and_never_the_controls(strategies: list[str], controls: list[str]) -> None:
    suite = suite_of(strategies, controls, 1, 2)
    mine = Contender("mine", "", "/mine.py:Mine")

    runs = plan(suite, [mine], 1)

    assert {run.contender for run in runs} == {mine, *suite.controls}
    assert {run.expectation for run in runs if run.contender == mine} == {"pass"}
    assert {run.expectation for run in runs if run.contender != mine} == {"fail:I1"}


def test_a_control_that_is_chosen_by_name_is_still_expected_to_be_caught() -> None:
    suite = suite_of(["row_lock"], ["naive"], 1, 1)

    runs = plan(suite, suite.controls, 1)

    assert [run.expectation for run in runs] == ["fail:I1"]


def test_a_name_that_is_no_folder_name_becomes_one() -> None:
    suite = suite_of(["row_lock"], [], 1, 1)

    (run,) = plan(suite, [Contender("../a b/<c>", "")], 7)

    assert run.trial == "001-scenario-0-.._a_b_c_-s7"
