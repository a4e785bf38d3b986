"""If these fail, a trial waits for ever on a process beside it, leaves it behind, or does not hear that it failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil

from flashbench.trial.companions import Companions

DUTIFUL = """
import sys
heard = open(sys.argv[1], "w")
heard.write(sys.stdin.readline())
print("ready", flush=True)
for line in sys.stdin:
    heard.write(line)
    heard.flush()
"""


def python(text: str, *words: str) -> list[str]:
    return [sys.executable, "-c", text, *words]


def test_a_companion_hears_of_opening_release_and_end(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with Companions({"diary": python(DUTIFUL, str(heard))}) as companions:
        companions.begin({"sale_id": "s"})
        companions.released(5)
        companions.finish(9)
    assert [json.loads(line) for line in heard.read_text().splitlines()] == [
        {"opened": {"sale_id": "s"}},
        {"released_ns": 5},
        {"over_ns": 9},
    ]
    assert companions.failed == []


def test_one_that_does_not_get_ready_or_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    commands = {
        "mute": python("raise SystemExit(0)"),
        "clumsy": python("print('ready', flush=True); raise SystemExit(3)"),
        "diary": python(DUTIFUL, str(tmp_path / "heard")),
    }
    with Companions(commands) as companions:
        companions.begin({})
        companions.released(5)
        companions.finish(9)
    assert companions.failed == ["mute did not get ready", "clumsy failed with exit code 3"]
    assert "over_ns" in (tmp_path / "heard").read_text()


def test_what_one_says_at_its_end_is_heard_if_it_ended_well(tmp_path: Path) -> None:
    speaks = "import sys; print('ready', flush=True); sys.stdin.read(); print(sys.argv[1]); sys.exit(int(sys.argv[2]))"
    commands = {"witness": python(speaks, "Postgres ended", "0"), "liar": python(speaks, "the app ended", "1")}
    with Companions(commands) as companions:
        companions.begin({})
        companions.finish(9)
    assert companions.said == ["Postgres ended"]


def test_none_outlives_its_trial() -> None:
    before = set(psutil.Process().children())
    with Companions({"stubborn": python("print('ready', flush=True)\nwhile True: pass")}) as companions:
        companions.begin({})
        (stubborn,) = set(psutil.Process().children()) - before
    assert not stubborn.is_running()


def test_no_companion_is_no_burden() -> None:
    with Companions({}) as companions:
        companions.begin({})
        companions.released(1)
        companions.finish(2)
    assert companions.failed == []
