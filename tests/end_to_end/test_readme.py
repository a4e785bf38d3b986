"""Every command in the README is run, as it stands there but for its size. If this fails, the README is not true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flashbench.catalogue import ROOT
from flashbench.load import options
from flashbench.services import Stack, StackRequest
from tests.end_to_end.reader import passed, run, tiny_suite

README = (ROOT / "README.md").read_text()
GATE = (ROOT / ".ci" / "run").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works, with a suite that is quick to run."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "tiny.toml").write_text(tiny_suite())
    return folder


def only(pattern: str) -> str:
    """The one command of the README that matches."""
    found: str
    (found,) = (command for command in COMMANDS if re.search(pattern, command))
    return found


def test_every_command_is_run_here_or_by_the_gate() -> None:
    run_here = (r"locust .*row_lock", r"flashbench audit", r"--database-url")
    run_by_the_gate = ("make bench", "make test")

    left = [command for command in COMMANDS if not any(re.search(pattern, command) for pattern in run_here)]

    assert left == list(run_by_the_gate)
    assert all(command in GATE for command in run_by_the_gate)


@pytest.mark.alone
def test_the_locust_command_sells_exactly_what_there_is(place: Path) -> None:
    done = run(only(r"locust .*row_lock").replace("-t 10s", "-t 3s"), place)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 initial = 100 sold + 0 remaining" in done.stdout
    (trial,) = (place / "results").glob("flash_sale-row_lock-*")
    assert pq.read_metadata(trial / "ledger.parquet").num_rows == 100
    assert done.stdout.rstrip().splitlines()[-1].startswith("PASS  row_lock")


def test_the_readers_own_postgres_and_redis_serve(place: Path) -> None:
    with Stack.start(StackRequest(with_app=False), progress=lambda _: None) as stores:
        command = only("--database-url").replace("quick", "tiny.toml")
        command = re.sub(r"postgresql://\S+", stores.info.database_url, command)
        command = re.sub(r"redis://\S+", stores.info.redis_url, command)
        done = run(f"{command} --out own", place)

    assert passed(done.returncode), done.stdout + done.stderr
    assert "starting Postgres" not in done.stdout
    assert "starting Redis" not in done.stdout
    (folder,) = (place / "own").glob("tiny-*")
    audit = run(re.sub(r"results/\S+", str(folder), only("flashbench audit")), place)
    assert audit.returncode == done.returncode, audit.stdout + audit.stderr
    assert "PASS" in audit.stdout


def test_every_subcommand_of_the_table_exists() -> None:
    named = re.findall(r"^\| `flashbench (\w+)", README, re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True
    ).stdout

    assert named
    for name in named:
        assert re.search(rf"\b{name}\b", shown)


def test_every_argument_is_in_the_table_with_its_default() -> None:
    defaults = options.defaults()
    wanted = [
        f"| `--{name.replace('_', '-')}` | {options.HELP[name]} | {default} |" for name, default in defaults.items()
    ]
    assert [line for line in README.splitlines() if line.startswith("| `--")] == wanted


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKS = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)#]+)\)", page.read_text())]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda each: getattr(each, "name", each))
def test_every_link_leads_somewhere(page: Path, target: str) -> None:
    assert (page.parent / target).exists()
