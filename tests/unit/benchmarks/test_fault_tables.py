"""If these fail, a suite's faults are not those that its file asks for, or a mistake is not told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import catalogue
from benchmarks.fault import fault_class
from benchmarks.suite import read
from flashbench import UsageError
from flashbench.evidence.documents import PlannedFault

SUITE = """
strategies = ["row_lock"]

[[scenarios]]
name = "sustained"
run_time_s = 20
"""

ALL = {
    *("redis_kill", "redis_hang", "redis_restart", "redis_rollback", "redis_pause", "redis_flush"),
    *("redis_script_flush", "redis_full", "redis_promotion"),
    *("net_latency", "net_blackhole", "net_reset", "net_cut", "net_drop_reply"),
    *("postgres_stop", "postgres_row_lock", "postgres_terminate", "postgres_pool"),
    *("worker_kill", "worker_hang", "failpoint"),
}


def faults(folder: Path, *tables: str) -> tuple[PlannedFault, ...]:
    path = folder / "mine.toml"
    path.write_text(SUITE + "".join(f"\n[[scenarios.faults]]\n{table}\n" for table in tables))
    return read(path).scenarios[0].faults


def test_every_fault_is_one_in_a_file_of_its_own_with_a_line_that_says_what_it_is() -> None:
    found = catalogue.faults()

    assert {entry.name for entry in found} == ALL
    for entry in found:
        assert entry.summary, entry.name
        assert fault_class(entry.name).hurts in {"redis", "postgres", "network", "app"}, entry.name


def test_a_fault_says_what_the_stack_must_offer() -> None:
    needs = {name: set(fault_class(name).needs) for name in ALL}

    assert {name for name in ALL if "proxy" in needs[name]} == {
        *("net_latency", "net_blackhole", "net_reset", "net_cut", "net_drop_reply", "redis_promotion")
    }
    assert needs["redis_promotion"] == {"proxy", "replica"}
    assert needs["failpoint"] == {"failpoints"}


def test_what_a_fault_is_told_is_planned_with_all_that_has_a_default(tmp_path: Path) -> None:
    slow, sharp, plain = faults(
        tmp_path,
        'fault = "net_latency"\nstore = "redis"\nlatency_ms = 5\nat_s = 1\nfor_s = 2',
        'fault = "net_drop_reply"\nstore = "postgres"\nmatching = "COMMIT"\nat_s = 4\nfor_s = 2.5',
        'fault = "redis_flush"\nat_s = 8\nfor_s = 1',
    )

    assert slow.options == {"store": "redis", "latency_ms": 5.0, "jitter_ms": 0.0}
    assert sharp.options == {"store": "postgres", "matching": "COMMIT", "ending": "reset", "share": 1.0}
    assert (sharp.at_s, sharp.for_s) == (4, 2.5)
    assert plain.options == {}
    assert PlannedFault.from_json(slow.to_json()) == slow


def test_flapping_is_a_fault_as_often_as_it_comes_again(tmp_path: Path) -> None:
    found = faults(tmp_path, 'fault = "redis_kill"\nat_s = 1\nfor_s = 0.7\ntimes = 4\nevery_s = 1.3')

    assert [(each.fault, each.at_s, each.for_s) for each in found] == [
        ("redis_kill", at_s, 0.7) for at_s in (1, 2.3, 3.6, 4.9)
    ]
    assert read(tmp_path / "mine.toml").scenarios[0].label == "sustained-redis_kill"


def test_two_faults_at_once_are_two_tables(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        'fault = "redis_hang"\nat_s = 2\nfor_s = 3',
        'fault = "postgres_row_lock"\nat_s = 3\nfor_s = 3',
        'fault = "net_latency"\nstore = "redis"\nat_s = 2\nfor_s = 3',
        'fault = "net_latency"\nstore = "postgres"\nat_s = 2\nfor_s = 3',
        'fault = "failpoint"\npoint = "after_hold"\nat_s = 2\nfor_s = 3',
        'fault = "failpoint"\npoint = "before_commit"\nat_s = 2\nfor_s = 3',
    )

    assert len(found) == 6


@pytest.mark.parametrize(
    "tables",
    [
        ('fault = "redis_kill"\nat_s = 1\nfor_s = 3', 'fault = "redis_kill"\nat_s = 3\nfor_s = 1'),
        ('fault = "redis_kill"\nat_s = 1\nfor_s = 3', 'fault = "redis_rollback"\nat_s = 4.2\nfor_s = 1'),
        ('fault = "redis_flush"\nat_s = 3\nfor_s = 1', 'fault = "redis_promotion"\nat_s = 1\nfor_s = 5'),
        (
            'fault = "net_cut"\nstore = "redis"\nat_s = 5\nfor_s = 1',
            'fault = "net_cut"\nstore = "redis"\nat_s = 1\nfor_s = 1\ntimes = 3\nevery_s = 2',
        ),
    ],
)
def test_injections_that_would_undo_each_other_are_refused(tmp_path: Path, tables: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"key 'at_s': .* would meet .* let it begin at \d") as refusal:
        faults(tmp_path, *tables)
    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize("tenths", range(1, 30))
def test_a_spacing_that_is_just_enough_is_enough(tmp_path: Path, tenths: int) -> None:
    every_s = round(tenths / 10 + fault_class("redis_kill").heals_in_s, 1)
    table = f'fault = "redis_kill"\nat_s = 0.2\nfor_s = {tenths / 10}\ntimes = 3\nevery_s = {every_s}'
    assert len(faults(tmp_path, table)) == 3


def test_a_replica_that_falls_behind_first_takes_longer_to_be_over(tmp_path: Path) -> None:
    promotion = 'fault = "redis_promotion"\nbehind_s = 5\nfor_s = 1'
    with pytest.raises(UsageError, match="key 'every_s': must be at least 9, since redis_promotion lasts 1 s"):
        faults(tmp_path, f"{promotion}\nat_s = 1\ntimes = 2\nevery_s = 6")
    with pytest.raises(UsageError, match="redis_promotion would last until the load of 20 s is over"):
        faults(tmp_path, f"{promotion}\nat_s = 15")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("redis_hang", "redis_kill"),  # its process is asked for its name before it is killed
        ("redis_pause", "redis_script_flush"),
        ("redis_full", "redis_restart"),  # which would end it early
        ("redis_kill", "redis_hang"),  # nobody is there to be stopped
        ("postgres_stop", "postgres_row_lock"),
        ("postgres_row_lock", "postgres_pool"),  # one lock would wait for the other
        ("worker_hang", "worker_kill"),  # nobody would be left
        ("postgres_pool", "worker_kill"),  # a new worker's first session is no pool
    ],
)
def test_what_needs_what_another_fault_has_taken_is_refused(tmp_path: Path, first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        with pytest.raises(UsageError, match=f"{other} at 2 s would meet {one}, which lasts from 1 s to 4 s"):
            faults(tmp_path, f'fault = "{one}"\nat_s = 1\nfor_s = 3', f'fault = "{other}"\nat_s = 2\nfor_s = 1')


def test_workers_that_die_at_points_of_their_own_may_do_so_together_but_not_while_one_is_taken(tmp_path: Path) -> None:
    kill, pause, gone = (
        'fault = "failpoint"\npoint = "after_hold"\nat_s = 2\nfor_s = 1',
        'fault = "failpoint"\npoint = "before_commit"\naction = "pause"\nat_s = 2\nfor_s = 1',
        'fault = "worker_kill"\nat_s = 1\nfor_s = 3',
    )
    assert len(faults(tmp_path, kill, pause)) == 2
    assert len(faults(tmp_path, pause, gone)) == 2
    with pytest.raises(UsageError, match="failpoint at 2 s would meet worker_kill"):
        faults(tmp_path, kill, gone)


@pytest.mark.parametrize(
    ("around", "within"),
    [
        ('fault = "redis_kill"', 'fault = "net_drop_reply"\nstore = "redis"'),
        ('fault = "redis_hang"', 'fault = "net_cut"\nstore = "redis"'),
        ('fault = "postgres_stop"', 'fault = "net_latency"\nstore = "postgres"'),
        ('fault = "net_blackhole"\nstore = "redis"', 'fault = "net_latency"\nstore = "redis"'),
        ('fault = "net_blackhole"\nstore = "postgres"', 'fault = "postgres_row_lock"'),
        ('fault = "postgres_stop"', 'fault = "failpoint"\npoint = "before_commit"'),
        ('fault = "net_drop_reply"\nstore = "redis"', 'fault = "net_cut"\nstore = "redis"'),
        ('fault = "net_drop_reply"\nstore = "postgres"', 'fault = "postgres_pool"'),
    ],
)
def test_what_could_never_be_seen_within_another_fault_is_refused_and_may_outlast_it(
    tmp_path: Path, around: str, within: str
) -> None:
    around = f"{around}\nat_s = 2\nfor_s = 3"
    with pytest.raises(UsageError, match=r"nothing could be seen of .* at 3 s within .*: let it last until \d"):
        faults(tmp_path, around, f"{within}\nat_s = 3\nfor_s = 1")
    assert len(faults(tmp_path, around, f"{within}\nat_s = 3\nfor_s = 5")) == 2
    assert len(faults(tmp_path, around, f"{within}\nat_s = 1\nfor_s = 2")) == 2


@pytest.mark.parametrize(
    ("around", "within"),
    [
        ('fault = "redis_hang"', 'fault = "net_blackhole"\nstore = "redis"'),
        ('fault = "redis_hang"', 'fault = "net_latency"\nstore = "redis"'),
        ('fault = "redis_kill"', 'fault = "net_latency"\nstore = "postgres"'),
        ('fault = "net_blackhole"\nstore = "redis"', 'fault = "net_reset"\nstore = "redis"'),
        ('fault = "net_blackhole"\nstore = "redis"', 'fault = "redis_promotion"'),
        ('fault = "worker_hang"', 'fault = "postgres_row_lock"'),
        ('fault = "redis_restart"', 'fault = "net_cut"\nstore = "redis"'),  # it is back at once
        ('fault = "net_drop_reply"\nstore = "redis"\nshare = 0.5', 'fault = "net_cut"\nstore = "redis"'),
        ('fault = "postgres_stop"', 'fault = "failpoint"\npoint = "after_hold"'),
    ],
)
def test_what_shows_all_the_same_may_lie_within_another_fault(tmp_path: Path, around: str, within: str) -> None:
    found = faults(tmp_path, f"{around}\nat_s = 2\nfor_s = 3", f"{within}\nat_s = 3\nfor_s = 1")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('fault = "net_latency"', "key 'store': is missing: it must be 'redis' or 'postgres'"),
        ('fault = "net_latency"\nstore = "redi"', "key 'store': there is no store 'redi': the nearest is 'redis'"),
        ('fault = "net_latency"\nstore = 1', "key 'store': must be 'redis' or 'postgres', not 1"),
        (
            'fault = "net_latency"\nstore = "redis"\nlatency = 1',
            "'latency': there is no such key: the nearest is 'late",
        ),
        (
            'fault = "net_latency"\nstore = "redis"\nlatency_ms = -1',
            "key 'latency_ms': must be a number from 0.1 to 10000, not -1",
        ),
        ('fault = "net_latency"\nstore = "redis"\nlatency_ms = true', "must be a number from 0.1 to 10000, not True"),
        ('fault = "net_cut"\nstore = "redis"\nafter_bytes = 1.5', "must be a whole number from 0 to 1000000, not 1.5"),
        ('fault = "net_drop_reply"\nstore = "redis"\nmatching = 3', "must be a text of at most 200 characters, not 3"),
        (
            'fault = "failpoint"\npoint = "after_comit"',
            "there is no point 'after_comit': the nearest is 'after_commit'",
        ),
        ('fault = "failpoint"\npoint = "after_hold"\naction = "die"', "there is no action 'die'"),
        ('fault = "redis_kill"\nstore = "redis"', "key 'store': there is no such key"),
        ('fault = "redis_kill"\ntimes = 0', "key 'times': must be a whole number from 1 to 100, not 0"),
        ('fault = "redis_kill"\ntimes = 101', "key 'times': must be a whole number from 1 to 100, not 101"),
        ('fault = "redis_kill"\ntimes = 2', "key 'every_s': must be a number of seconds between 0 and 20, not None"),
        ('fault = "redis_kill"\ntimes = 2\nevery_s = 1.4', "key 'every_s': must be at least 1.5, since redis_kill"),
        ('fault = "redis_kill"\nevery_s = 2', "key 'every_s': says how often a fault comes again: give `times`"),
        ('fault = "redis_kill"\ntimes = 10\nevery_s = 2', "key 'for_s': redis_kill would last until the load of 20 s"),
    ],
)
def test_what_is_wrong_with_a_fault_is_one_sentence(tmp_path: Path, table: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        faults(tmp_path, f"{table}\nat_s = 1\nfor_s = 1")

    assert str(tmp_path / "mine.toml") in str(refusal.value)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_option_of_every_fault_can_be_refused_in_words(tmp_path: Path, name: str) -> None:
    for key in fault_class(name).Options.model_fields:
        required = {"store": '"redis"', "point": '"after_hold"'}
        given = "".join(
            f"\n{other} = {value}"
            for other, value in required.items()
            if other != key and other in fault_class(name).Options.model_fields
        )
        with pytest.raises(UsageError, match=f"key '{key}': must be "):
            faults(tmp_path, f'fault = "{name}"\nat_s = 1\nfor_s = 1{given}\n{key} = [1]')
