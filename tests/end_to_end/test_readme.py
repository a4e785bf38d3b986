"""Every command in the README is run, as it stands there but for its size. If this fails, the README is not true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flashbench.catalogue import ROOT
from flashbench.services import Stack, StackRequest

README = (ROOT / "README.md").read_text()
GATE = (ROOT / ".ci" / "run").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.strip()]

TINY = """
strategies = ["row_lock"]
controls = ["naive"]

[[scenarios]]
name = "flash_sale"
users = 60
run_time_s = 1
stock = 40
think_ms = 100
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works: with the README's own strategy, and a suite that is quick to run."""
    folder = tmp_path_factory.mktemp("reader")
    (source,) = [text for kind, text in BLOCKS if kind == "python"]
    (folder / "mine.py").write_text(source)
    (folder / "tiny.toml").write_text(TINY)
    return folder


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """The command with this interpreter's own tools; paths of the checkout are taken from the checkout."""
    words = shlex.split(command)
    tool = Path(words[0]).name
    modules = {"flashbench": ["-m", "benchmarks"], "locust": ["-m", "locust"]}
    arguments = [str(ROOT / word) if (ROOT / word.partition(":")[0]).exists() else word for word in words[1:]]
    return subprocess.run(
        [sys.executable, *modules[tool], *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def only(pattern: str) -> str:
    """The one command of the README that matches."""
    found: str
    (found,) = (command for command in COMMANDS if re.search(pattern, command))
    return found


def test_every_command_is_run_here_or_by_the_gate() -> None:
    run_here = (r"locust .*row_lock", r"--strategy mine\.py", r"flashbench audit", r"--database-url")
    run_by_the_gate = ("make bench", "make test")

    left = [command for command in COMMANDS if not any(re.search(pattern, command) for pattern in run_here)]

    assert left == list(run_by_the_gate)
    assert all(command in GATE for command in run_by_the_gate)


def test_the_locust_command_sells_exactly_what_there_is(place: Path) -> None:
    done = run(only(r"locust .*row_lock").replace("-t 10s", "-t 3s"), place)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 initial = 100 sold + 0 remaining" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("PASS  row_lock")


def test_the_strategy_of_the_readme_passes_and_its_result_can_be_audited(place: Path) -> None:
    done = run(only(r"--strategy mine\.py").replace("quick", "tiny.toml"), place)

    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (place / "results").glob("tiny-*")
    audit = run(re.sub(r"results/\S+", str(folder), only("flashbench audit")), place)
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "PASS" in audit.stdout


def test_the_readers_own_postgres_and_redis_serve(place: Path) -> None:
    with Stack.start(StackRequest(with_app=False), progress=lambda _: None) as stores:
        command = only("--database-url").replace("quick", "tiny.toml")
        command = re.sub(r"postgresql://\S+", stores.info.database_url, command)
        command = re.sub(r"redis://\S+", stores.info.redis_url, command)
        done = run(f"{command} --out own", place)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "starting Postgres" not in done.stdout
    assert "starting Redis" not in done.stdout


def test_every_subcommand_of_the_table_exists() -> None:
    named = re.findall(r"^\| `flashbench (\w+)", README, re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True
    ).stdout

    assert named
    for name in named:
        assert re.search(rf"\b{name}\b", shown)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
