"""If these fail, a typo in a suite file is ignored, or ends in a traceback."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import catalogue
from benchmarks.fault import fault_class
from benchmarks.plan import PlannedRun, plan
from benchmarks.suite import Scenario, find, read
from benchmarks.wiring import Wiring
from flashbench import UsageError
from flashbench.catalogue import card, controls
from reports.checks.registry import checks
from reports.outages.faults import hurts
from reports.outages.recovery import SHOWN_AFTER_S
from reports.outages.targets import RECOVERY

GOOD = """
summary = "mine"
strategies = ["row_lock"]
controls = ["naive"]
seeds = 3

[[scenarios]]
name = "flash_sale"
users = 50
stock = 20
twin_share = 0.5
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_suite_says_what_its_file_says(tmp_path: Path) -> None:
    suite = read(write(tmp_path, GOOD))

    assert (suite.name, suite.summary, suite.seeds) == ("mine", "mine", 3)
    assert [each.name for each in suite.strategies] == ["row_lock"]
    assert [(each.name, each.breaks) for each in suite.controls] == [("naive", "I1")]
    (scenario,) = suite.scenarios
    assert (scenario.name, scenario.users, scenario.run_time_s) == ("flash_sale", 50, 5)
    assert scenario.parameters == {"stock": 20, "twin_share": 0.5}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("summary", "sumary", "key 'sumary': there is no such key: the nearest is 'summary'"),
        ('"row_lock"', '"row_lok"', "key 'strategies': there is no 'row_lok': the nearest is 'row_lock'"),
        ('"naive"', '"naiv"', "key 'controls': there is no 'naiv': the nearest is 'naive'"),
        ('"flash_sale"', '"flash_sail"', "key 'name': there is no scenario 'flash_sail': the nearest is 'flash_sale'"),
        ("stock", "stok", "key 'stok': there is no such key: the nearest is 'stock'"),
        ("users = 50", 'faults = [{fault = "redis_kil"}]', "key 'fault': there is no fault 'redis_kil'"),
        ("users = 50", 'faults = [{fault = "redis_kill", at_s = 1}]', "key 'for_s': must be a number of seconds"),
        ("users = 50", 'faults = [{fault = "redis_kill", at_s = 2, for_s = 3}]', "would last until the load of 5 s"),
        ("users = 50", 'faults = [{fault = "redis_kill", after_s = 2}]', "key 'after_s': there is no such key"),
        ("users = 50", 'faults = "redis_kill"', "key 'faults': must be [[scenarios.faults]] tables"),
        ("users = 50", 'label = "what a name"', "key 'label': must be letters, digits"),
        ("users = 50", 'controls = ["naiv"]', "key 'controls': there is no 'naiv'"),
        (
            "users = 50",
            'strategies = ["redis_lua"]',
            "key 'strategies': a scenario names redis_lua, the suite does not",
        ),
        (
            "users = 50",
            'app = {lease_s = 5}\nfaults = [{fault = "redis_kill", at_s = 1, for_s = 1}]',
            "key 'lease_s': can't be set beside faults",
        ),
        ("seeds = 3", "seeds = 0", "key 'seeds': must be a whole number from 1"),
        ("seeds = 3", "seeds = true", "key 'seeds': must be a whole number from 1"),
        ("stock = 20", "stock = -1", "--stock must be between 0"),
        ("twin_share = 0.5", "twin_share = 2", "--twin-share must be a number between 0 and 1"),
        ("[[scenarios]]", "[scenarios]", "key 'scenarios': needs at least one"),
        ("seeds = 3", "seeds = [", "is not valid TOML"),
        ('["row_lock"]', '"row_lock"', "key 'strategies': must be a list of names"),
        ('["row_lock"]', '["absent.py:Mine"]', "there is no strategy file 'absent.py'"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_key_and_nearest_word(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    path = write(tmp_path, GOOD.replace(before, after, 1))

    with pytest.raises(UsageError) as refusal:
        read(path)

    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value) or "TOML" in str(refusal.value)


def test_every_shipped_suite_is_valid_and_has_a_control_and_a_summary() -> None:
    suites = [read(entry.path) for entry in catalogue.suites()]

    assert {suite.name for suite in suites} >= {"quick", "smoke"}
    for suite in suites:
        assert suite.controls or any(scenario.controls for scenario in suite.scenarios), suite.name
        assert suite.summary, suite.name
    quick = next(suite for suite in suites if suite.name == "quick")
    assert {each.name for each in quick.strategies} == {"row_lock", "redis_lock", "redis_lua"}
    assert quick.seeds >= 2


def test_an_unknown_suite_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the nearest is 'quick'"):
        find("quik")
    with pytest.raises(UsageError, match="there is no suite file"):
        find(str(tmp_path / "absent.toml"))


def test_scenarios_that_differ_in_their_fault_are_told_apart(tmp_path: Path) -> None:
    suite = read(
        write(
            tmp_path,
            GOOD
            + """
[[scenarios]]
name = "flash_sale"
seeds = 1
controls = []
faults = [{fault = "redis_kill", at_s = 1, for_s = 1.5}, {fault = "redis_hang", at_s = 3, for_s = 1}]
""",
        )
    )

    assert [each.label for each in suite.scenarios] == ["flash_sale", "flash_sale-redis_kill-redis_hang"]
    quiet, faulty = suite.scenarios
    assert (quiet.fault, quiet.seeds, quiet.controls) == (None, None, None)
    assert (faulty.fault, faulty.seeds, faulty.controls) == ("redis_kill+redis_hang", 1, ())
    assert [(each.at_s, each.for_s) for each in faulty.faults] == [(1, 1.5), (3, 1)]
    assert [(run.contender.name, run.scenario.label, run.seed) for run in sorted(plan(suite, (), 1), key=_order)] == [
        ("naive", "flash_sale", 1),
        ("naive", "flash_sale", 2),
        ("naive", "flash_sale", 3),
        ("row_lock", "flash_sale", 1),
        ("row_lock", "flash_sale", 2),
        ("row_lock", "flash_sale", 3),
        ("row_lock", "flash_sale-redis_kill-redis_hang", 1),
    ]


def test_two_scenarios_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    again = GOOD[GOOD.index("[[scenarios]]") :]
    with pytest.raises(UsageError, match="two scenarios go by the name 'flash_sale'"):
        read(write(tmp_path, GOOD + again))
    assert len(read(write(tmp_path, GOOD + again + 'label = "again"')).scenarios) == 2


def _order(run: PlannedRun) -> tuple[str, str, int]:
    return run.contender.name, run.scenario.label, run.seed


def test_exposed_controls_meet_the_scenario_that_exposes_them_as_often_as_it_says(tmp_path: Path) -> None:
    suite = read(
        write(
            tmp_path,
            """
strategies = ["row_lock"]
seeds = 1
control_seeds = 2
stacks = 3
[[scenarios]]
name = "flash_sale"
label = "tabs"
controls = "exposed"
""",
        )
    )
    exposed = {each.name for each in controls() if each.exposed_by == "tabs"}
    assert suite.stacks == 3
    assert len(exposed) > 1
    assert {each.name for each in suite.scenarios[0].controls or ()} == exposed
    runs = Counter(run.contender.name for run in plan(suite, (), 1))
    assert runs == {"row_lock": 1, **dict.fromkeys(exposed, 2)}


def test_every_control_is_in_the_suite_that_exposes_it_with_a_card_that_says_the_same() -> None:
    suites = [read(find(name)) for name in ("controls", "outage-controls")]
    met = [
        (each.name, scenario.label)
        for suite in suites
        for scenario in suite.scenarios
        for each in scenario.controls or ()
    ]
    assert sorted(met) == [(each.name, each.exposed_by) for each in controls()]
    assert len(met) > 34 + 12
    for each in controls():
        facts = card(each)
        assert set(facts) == {"The mistake", "What it breaks", "When it shows", "Where it is known from"}, each.name
        assert facts["What it breaks"].startswith(f"{each.breaks},"), each.name


def test_a_recovery_that_takes_too_long_can_be_seen_in_every_outage_of_redis() -> None:
    """Else it could be missed by nobody, only not be shown. Heals come late by as much as they have been seen to."""
    late_s = {"redis_promotion": 1.5}
    checked = 0
    for scenario in read(find("outages")).scenarios:
        if not RECOVERY.applies({hurts(each.fault, each.options) for each in scenario.faults}):
            continue
        last = max(scenario.faults, key=lambda each: each.at_s + each.for_s)
        healed_s = last.at_s + last.for_s + late_s.get(last.fault, 0.5)
        assert scenario.run_time_s - healed_s - SHOWN_AFTER_S >= RECOVERY.limit, scenario.label
        checked += 1
    assert checked >= 15


def test_every_fault_on_every_store_and_at_every_point_is_met_ten_times_in_the_suite_of_outages() -> None:
    suite = read(find("outages"))
    met = {
        (planned.fault, choice)
        for scenario in suite.scenarios
        if (scenario.seeds or suite.seeds) >= 10
        for planned in scenario.faults
        for choice in (None, *planned.options.values())
    }
    choices = {
        (entry.name, choice)
        for entry in catalogue.faults()
        for schema in (fault_class(entry.name).Options.model_json_schema()["properties"] or {"": {}}).values()
        for choice in schema.get("enum", [None])
    }
    assert choices <= met
    assert {("net_cut", "postgres"), ("failpoint", "pause"), ("net_drop_reply", "silence")} <= choices


@pytest.mark.parametrize("name", ["outages", "outages-quick"])
def test_every_fault_is_met_by_a_load_that_is_offered_without_one_too(name: str) -> None:
    """Else there is nothing to know a recovery by."""
    suite = read(find(name))
    calm = [each for each in suite.scenarios if not each.faults]
    for scenario in suite.scenarios:
        alike = [each for each in calm if _load(each) == _load(scenario)]
        met = {contender for each in alike for contender in each.strategies or suite.strategies}
        assert met.issuperset(scenario.strategies or suite.strategies), scenario.label


def _load(scenario: Scenario) -> tuple[object, ...]:
    return scenario.name, scenario.users, scenario.run_time_s, scenario.parameters, Wiring.of(scenario).way


def test_controls_are_met_by_a_fault_in_the_suite_of_outages_only() -> None:
    assert not any(scenario.faults for scenario in read(find("controls")).scenarios)
    outages = read(find("outage-controls"))
    assert all(scenario.faults and scenario.controls for scenario in outages.scenarios)
    runs = plan(outages, (), 1)
    assert sum(not run.contender.control for run in runs) >= 200
    assert min(Counter(run.contender.name for run in runs if run.contender.control).values()) == 20


def test_every_invariant_is_broken_by_a_control() -> None:
    assert {each.breaks for each in controls()} == {check.invariant for check in checks()}
