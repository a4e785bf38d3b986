"""If these fail, trials are run on another stack than their scenario asks for, or compared though it differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.suite import Suite, read
from benchmarks.wiring import Wiring, shared
from flashbench import UsageError
from flashbench.catalogue import app_settings
from flashbench.services import StackRequest

PLAIN = '[[scenarios]]\nname = "flash_sale"\n'
SLOW = '[[scenarios]]\nname = "flash_sale"\nlabel = "slow"\nstore_rtt_ms = 0.5\n'
BARE = '[[scenarios]]\nname = "flash_sale"\nlabel = "bare"\n[scenarios.app]\ncache_early_beta = 0\n'


def suite(folder: Path, *scenarios: str) -> Suite:
    path = folder / "mine.toml"
    path.write_text("\n".join(scenarios))
    return read(path)


def test_each_way_to_the_stores_is_a_stack_of_its_own(tmp_path: Path) -> None:
    plain, slow, bare = shared(suite(tmp_path, PLAIN, SLOW, BARE).scenarios)

    assert plain.stack(StackRequest()) == StackRequest()
    assert slow.stack(StackRequest()) == StackRequest(proxied=True, store_rtt_ms=0.5)
    assert bare.stack(StackRequest()).app_environment == {"TARGET_APP_CACHE_EARLY_BETA": "0"}
    assert [each.document() for each in (plain, slow, bare)] == [
        {},
        {"proxied": True, "store_rtt_ms": 0.5},
        {"app": {"cache_early_beta": "0"}},
    ]


def test_what_faults_need_is_there_for_all_that_go_the_same_way(tmp_path: Path) -> None:
    way = Wiring(proxied=True)
    with_replica = Wiring(proxied=True, replica=True)
    assert with_replica.way == way
    assert Wiring(failpoints=True).way == Wiring()
    same = suite(tmp_path, PLAIN, PLAIN.replace("flash_sale", "sustained")).scenarios
    assert list(shared(same)) == [Wiring()]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("store_rtt_ms = 0.5", "store_rtt_ms = -1", "key 'store_rtt_ms': must be a number from 0 to 100, not -1"),
        ("store_rtt_ms = 0.5", "app = 3", r"key 'app': must be a \[scenarios.app\] table"),
        ("store_rtt_ms = 0.5", "app = {cache_ttl = 1}", "key 'cache_ttl': .* the nearest is 'cache_ttl_s'"),
        ("store_rtt_ms = 0.5", 'app = {cache_ttl_s = "1"}', "key 'cache_ttl_s': must be a number, true or false"),
        ("store_rtt_ms = 0.5", "app = {admin_token = 1}", "key 'admin_token': there is no such key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        suite(tmp_path, SLOW.replace(before, after))


def test_the_settings_are_the_apps_own() -> None:
    from target_app.settings import Settings

    given = {"database_url", "redis_url", "admin_token", "strategies"}
    assert set(app_settings()) == set(Settings.model_fields) - given
