"""If these fail, hours of trials are lost with a process, or servers are left that nobody owns."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flashbench.evidence.documents import SUITE, TRIAL, VERDICT, SuiteDocument, TrialDocument, VerdictDocument
from flashbench.vocabulary import Verdict
from tests.end_to_end.reader import passed, tiny_suite
from tests.integration.services.test_supervisor import left_in
from tests.waiting import until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder with a suite of two trials, and a TMPDIR in which nothing may be left."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tiny.toml").write_text(tiny_suite())
    yield tmp_path
    assert until(lambda: not left_in(tmp_path / "tmp"))


class Run:
    """``flashbench run`` of the suite, in a group of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", "run", "tiny.toml", "--out", "out"],
            cwd=place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(place / "tmp")},
            process_group=0,
        )

    def until(self, beginning: str) -> None:
        """Read what it prints up to a line that begins so, or to its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(beginning):
                return
        pytest.fail(f"it never said {beginning!r}")

    def until_in_trial(self, number: int) -> None:
        """Until the load of a trial is on."""
        self.until(f"trial {number} of ")
        assert until(lambda: any((self.place / "out").glob(f"*/00{number}-*/tries-0.bin")))

    def child(self, word: str) -> psutil.Process:
        """The process below it in whose command line the word stands; it leads a group of its own."""
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ended meanwhile
                if word in each.cmdline():
                    return each
        pytest.fail(f"nothing below it has {word} in its command line")

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it still had to say."""
        assert self.process.stdout is not None
        shown = self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(60), shown


def folders(place: Path) -> list[Path]:
    return sorted((place / "out").iterdir())


def test_what_was_cut_short_by_a_kill_is_taken_up_by_the_next_run(place: Path) -> None:
    run = Run(place)
    run.until("[1/2]")
    (folder,) = folders(place)
    (first,) = folder.glob(f"001-*/{TRIAL}")
    before = first.read_text()
    run.until_in_trial(2)
    run.process.kill()
    run.end()
    assert until(lambda: not left_in(place / "tmp"))

    again = Run(place)
    code, shown = again.end()

    assert passed(code), shown
    assert "taking up the run that was cut short" in shown
    assert "2 trials" in shown
    assert "1 of them are there" in shown
    assert folders(place) == [folder]
    assert first.read_text() == before
    assert [path.name[:4] for path in (folder / "unfinished").iterdir()] == ["002-"]
    assert len(SuiteDocument.from_json((folder / SUITE).read_bytes()).trials) == 2


def test_a_drain_that_was_cut_short_is_run_again(place: Path) -> None:
    (place / "tiny.toml").write_text(CALM.replace("stock = 300", "stock = 1500"))
    run = Run(place)
    run.until("trial 1 of ")
    assert until(lambda: any((place / "out").glob("*/001-*/tries-drain.bin")))
    os.killpg(run.process.pid, signal.SIGINT)
    code, shown = run.end()
    assert code == 11, shown

    (folder,) = folders(place)
    (struck,) = folder.glob(f"001-*/{TRIAL}")
    trial = TrialDocument.from_json(struck.read_bytes())
    assert trial.interrupted
    assert "the drain was interrupted before sku-1 was refused" in trial.problems
    _, shown = Run(place).end()
    assert "taking up the run that was cut short" in shown
    (again,) = folder.glob(f"001-*/{VERDICT}")
    assert VerdictDocument.from_json(again.read_bytes()).verdict is Verdict.PASS


def test_a_stack_that_is_killed_costs_one_trial(place: Path) -> None:
    run = Run(place)
    run.until_in_trial(1)
    os.killpg(run.child("flashbench.services.supervisor").pid, signal.SIGKILL)
    code, shown = run.end()

    assert code == 11, shown
    assert "starting another" in shown
    (folder,) = folders(place)
    (lost,) = folder.glob(f"001-*/{VERDICT}")
    verdict = VerdictDocument.from_json(lost.read_bytes())
    assert verdict.verdict is Verdict.UNPROVEN
    assert "nothing was drained, since the target no longer answers" in verdict.reasons
    assert len(list(folder.glob(f"002-*/{VERDICT}"))) == 1


def test_an_app_that_is_killed_is_accused_of_nothing_and_its_trial_is_run_again(place: Path) -> None:
    run = Run(place)
    run.until_in_trial(1)
    run.child("flashbench.services.watchful_uvicorn").kill()
    _, shown = run.end()

    assert "starting another" in shown
    (folder,) = folders(place)
    (struck,) = folder.glob(f"001-*/{VERDICT}")
    (after,) = folder.glob(f"002-*/{VERDICT}")
    verdict = VerdictDocument.from_json(struck.read_bytes())
    assert verdict.verdict is Verdict.UNPROVEN, shown
    assert "the app was killed during the load, which no fault had planned" in verdict.reasons
    assert VerdictDocument.from_json(after.read_bytes()).verdict is not Verdict.UNPROVEN, shown

    code, shown = Run(place).end()
    assert passed(code), shown
    assert "taking up the run that was cut short" in shown
    assert "1 of them are there" in shown
    assert folders(place) == [folder]


CALM = """
strategies = ["row_lock"]

[[scenarios]]
name = "sustained"
users = 10
run_time_s = 5
arrivals_per_s = 50
stock = 300
"""


@pytest.mark.parametrize(
    ("parent", "victim", "what"),
    [
        ("flashbench.services.watchful_uvicorn", "spawn_main", "a process of the app"),
        ("flashbench.services.supervisor", "postgres", "Postgres"),
    ],
)
def test_what_is_killed_by_hand_and_comes_back_bars_a_pass(place: Path, parent: str, victim: str, what: str) -> None:
    (place / "tiny.toml").write_text(CALM)
    run = Run(place)
    run.until_in_trial(1)
    assert until(lambda: any((place / "out").glob("*/001-*/telemetry.ndjson")))
    next(each for each in run.child(parent).children() if victim in " ".join(each.cmdline())).kill()
    _, shown = run.end()

    (folder,) = folders(place)
    (struck,) = folder.glob(f"001-*/{VERDICT}")
    verdict = VerdictDocument.from_json(struck.read_bytes())
    assert verdict.verdict is Verdict.UNPROVEN, shown
    assert verdict.reasons == (f"{what} ended during the load, which no fault had planned",)


HANGING = """
strategies = ["row_lock"]

[[scenarios]]
name = "sustained"
users = 10
run_time_s = 6
arrivals_per_s = 50
stock = 400
seeds = 2

[[scenarios.faults]]
fault = "redis_hang"
at_s = 0.5
for_s = 1.5
"""


def test_a_fault_that_nobody_is_left_to_heal_does_not_meet_the_next_trial(place: Path) -> None:
    (place / "tiny.toml").write_text(HANGING)
    run = Run(place)
    run.until("trial 1 of ")
    assert until(lambda: any("bit" in path.read_text() for path in (place / "out").glob("*/001-*/faults.jsonl")))
    run.child("locust").kill()
    _, shown = run.end()

    assert "starting another" in shown
    (folder,) = folders(place)
    (second,) = folder.glob(f"002-*/{VERDICT}")
    assert VerdictDocument.from_json(second.read_bytes()).verdict is Verdict.PASS


@pytest.mark.parametrize("companion", ["benchmarks.telemetry", "benchmarks.faults"])
def test_who_accompanies_a_trial_and_is_killed_bars_a_pass_and_the_trial_is_run_again(
    place: Path, companion: str
) -> None:
    (place / "tiny.toml").write_text(HANGING.replace("seeds = 2", "seeds = 1"))
    run = Run(place)
    run.until("trial 1 of ")
    assert until(lambda: any("bit" in path.read_text() for path in (place / "out").glob("*/001-*/faults.jsonl")))
    run.child(companion).kill()
    code, shown = run.end()

    assert code == 11, shown
    (folder,) = folders(place)
    (struck,) = folder.glob(f"001-*/{VERDICT}")
    verdict = VerdictDocument.from_json(struck.read_bytes())
    assert f"{companion.partition('.')[2]} failed with exit code -9" in verdict.reasons
    _, shown = Run(place).end()
    assert "taking up the run that was cut short" in shown
    (again,) = folder.glob(f"001-*/{VERDICT}")
    assert VerdictDocument.from_json(again.read_bytes()).verdict is Verdict.PASS


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """The folder of results on a disk of its own, with no room for a trial."""
    disk = place / "out"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_costs_what_had_no_room_and_the_next_run_makes_up_for_it(place: Path, small_disk: Path) -> None:
    (place / "tiny.toml").write_text(CALM.replace("stock = 300", "stock = 2500"))  # half a megabyte of tries
    code, shown = Run(place).end()
    assert code == 11, shown
    assert "Traceback" not in shown
    assert "PASS" not in shown

    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    _, shown = Run(place).end()
    assert "taking up the run that was cut short" in shown
    (folder,) = folders(place)
    (again,) = folder.glob(f"001-*/{VERDICT}")
    assert VerdictDocument.from_json(again.read_bytes()).verdict is Verdict.PASS


def test_ctrl_c_twice_leaves_nothing(place: Path) -> None:
    run = Run(place)
    run.until_in_trial(1)
    os.killpg(run.process.pid, signal.SIGINT)
    run.until("interrupted")
    os.killpg(run.process.pid, signal.SIGINT)
    code, shown = run.end()
    assert code == 11, shown
    assert "Traceback" not in shown
