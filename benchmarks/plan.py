"""The order of a suite's trials: every repetition runs all of them once, shuffled, so that drift hits all alike."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.suite import Scenario, Suite
from flashbench.catalogue import Contender
from flashbench.evidence.documents import PlannedTrial


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One trial to be run: what, how, and the name of its folder."""

    trial: str
    contender: Contender
    scenario: Scenario
    seed: int

    @property
    def expectation(self) -> str:
        return f"fail:{self.contender.breaks}" if self.contender.breaks else "pass"

    def document(self) -> PlannedTrial:
        """As it stands in suite.json."""
        return PlannedTrial(
            trial=self.trial,
            strategy=self.contender.name,
            scenario=self.scenario.name,
            case=self.scenario.label,
            seed=self.seed,
            control=self.contender.control,
            fault=self.scenario.fault,
            expectation=self.expectation,
        )


def plan(suite: Suite, chosen: Sequence[Contender], seed: int, repeats: int = 0) -> tuple[PlannedRun, ...]:
    """All trials in the order of their running. ``chosen`` replaces the suite's strategies unless it is empty.

    ``repeats`` is how often trials without faults and of no control are run at least, whatever the suite says.

    The suite's controls always run. A scenario that names its strategies meets no other, chosen or not. A control that
    was chosen by name is expected to be caught, like the suite's own.
    """
    runs: list[PlannedRun] = []
    most = max(max(_times(suite, scenario, control) for control in (False, True)) for scenario in suite.scenarios)
    for repetition in range(max(repeats, most)):
        block = [
            (each, scenario)
            for scenario in suite.scenarios
            for each in contenders(suite, scenario, chosen)
            if repetition < _times(suite, scenario, each.control)
            or (repetition < repeats and not scenario.faults and not each.control)
        ]
        random.Random(f"{seed}:{repetition}").shuffle(block)
        for each, scenario in block:
            trial_seed = seed + repetition
            name = f"{len(runs) + 1:03d}-{_as_folder(scenario.label)}-{_as_folder(each.name)}-s{trial_seed}"
            runs.append(PlannedRun(name, each, scenario, trial_seed))
    return tuple(runs)


def contenders(suite: Suite, scenario: Scenario, chosen: Sequence[Contender]) -> list[Contender]:
    """Who meets a scenario: the chosen strategies, or the suite's, unless it names others; and the controls."""
    controls = suite.controls if scenario.controls is None else scenario.controls
    strategies = [
        each for each in chosen or suite.strategies if scenario.strategies is None or each in scenario.strategies
    ]
    return list(dict.fromkeys([*strategies, *controls]))


def _times(suite: Suite, scenario: Scenario, control: bool) -> int:
    """How often a strategy, or a control, meets a scenario."""
    return scenario.seeds or (control and suite.control_seeds) or suite.seeds


def _as_folder(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:60]
