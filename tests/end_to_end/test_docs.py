"""The pages of docs/ are followed as they stand, but for the size of the suites. If this fails, they are not true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from benchmarks.suite import find, read
from benchmarks.wiring import Wiring
from flashbench.catalogue import ROOT
from flashbench.load.options import HELP
from tests.end_to_end.reader import passed, run, tiny_suite

DOCS = ROOT / "docs"
STRATEGY = (DOCS / "your-own-strategy.md").read_text()
COMMANDS = {
    path.name: [
        line for text in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL) for line in text.splitlines()
    ]
    for path in sorted(DOCS.glob("*.md"))
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works: with the files that the page says to save, and a suite that is quick to run."""
    folder = tmp_path_factory.mktemp("reader")
    saved = re.findall(r"[Ss]ave this as\s`(\w+\.py)`.*?```python\n(.*?)```", STRATEGY, re.DOTALL)
    assert [name for name, _ in saved] == ["optimistic.py", "guarded.py"]
    for name, text in saved:
        (folder / name).write_text(text)
    (folder / "tiny.toml").write_text(tiny_suite())
    return folder


def command(pattern: str) -> str:
    """The one command of the page about strategies that matches, on the quick suite."""
    found: str
    (found,) = (each for each in COMMANDS["your-own-strategy.md"] if re.search(pattern, each))
    return re.sub(r"run (smoke|quick)", "run tiny.toml", found).replace("-t 5s", "-t 2s")


def test_the_first_attempt_fails_as_the_page_says(place: Path) -> None:
    done = run(command(r"smoke .*optimistic"), place)

    assert done.returncode == 10, done.stdout + done.stderr
    assert re.search(r"I4 \d+ (key has|keys have|try|tries) ", done.stdout), done.stdout
    assert re.search(r"I8 sku-1: ", done.stdout), done.stdout
    assert not re.search(r"optimistic.*FAIL.*I1\b", done.stdout), "the page says that it never sells a unit twice"


def test_the_second_attempt_passes_beside_a_reference_strategy(place: Path) -> None:
    assert command(r"smoke .*guarded").replace("tiny.toml", "smoke") in COMMANDS["your-own-strategy.md"]
    done = run(command(r"quick .*guarded"), place)

    assert passed(done.returncode), done.stdout + done.stderr
    assert re.search(r"guarded +pass +PASS", done.stdout)
    assert re.search(r"redis_lua +pass +PASS", done.stdout)


def test_locust_takes_a_strategy_of_ones_own(place: Path) -> None:
    done = run(command(r"locust .*guarded"), place)
    assert passed(done.returncode), done.stdout + done.stderr


@cache
def help_of(*asked: str) -> str:
    """What a program says of its options; asked once."""
    return subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, lines in COMMANDS.items() for line in lines], ids=lambda each: each[:60]
)
def test_every_command_of_the_pages_has_the_options_that_it_uses(page: str, line: str) -> None:
    """What needs several machines, two results or containers is not run, but must at least be understood."""
    program, *words = shlex.split(line)
    if program == "docker":
        assert words[:2] == ["compose", "up"]
        assert words[-1].partition("=")[0] in (ROOT / "docker-compose.yml").read_text()
        return
    if program == "node":
        assert all(word in (ROOT / words[0]).read_text() for word in words[1:] if word.startswith("--"))
        return
    if Path(program).name == "pytest":
        asked = ["-m", "pytest", "--help"]
    elif Path(program).name == "locust":
        asked = ["-m", "locust", "-f", str(ROOT / words[words.index("-f") + 1]), "--help"]
    else:
        asked = ["-m", "benchmarks", *words[: 2 if words[0] == "cost" else 1], "--help"]
    shown = help_of(*asked)
    shown += " ".join(f"--{name.replace('_', '-')}" for name in HELP)  # Locust's help does not load the locustfile
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", shown), f"{page}: {line}"


def test_the_example_of_an_outage_is_a_suite_that_can_be_run(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "outages.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(example)
    suite = read(tmp_path / "mine.toml")

    assert [len(scenario.faults) for scenario in suite.scenarios] == [0, 0, 4, 2]
    calm = {Wiring.of(scenario).way for scenario in suite.scenarios if not scenario.faults}
    assert calm == {Wiring.of(scenario).way for scenario in suite.scenarios if scenario.faults}


def test_the_example_of_a_history_is_true() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / "proof.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True, cwd=ROOT)
    sentence, operations = done.stdout.splitlines()
    assert sentence.startswith("a buyer was told sold out when no more than 0 of 1 units could have been sold,")
    assert operations == "(0, 1)"


@pytest.mark.parametrize(("suite", "least_seeds", "least_quiet"), [("controls", 20, 200), ("outage-controls", 20, 200)])
def test_the_kill_table_is_of_these_controls_and_meets_the_targets(
    suite: str, least_seeds: int, least_quiet: int
) -> None:
    _, _, rest = (DOCS / "proof.md").read_text().partition(f"<!-- kill table of {suite}: ")
    text, _, _ = rest.partition("<!-- end of the kill table")
    rows = re.findall(r"^\| (\w+) \| (I\d+) \| (\d+) of (\d+) \| [^|]* \| [^|]* \| (\w+) \|", text, re.MULTILINE)
    assert {(name, scenario, breaks) for name, breaks, _, _, scenario in rows} == {
        (each.name, scenario.label, each.breaks)
        for scenario in read(find(suite)).scenarios
        for each in scenario.controls or ()
    }
    assert all(int(trials) >= least_seeds and int(caught) >= 0.95 * int(trials) for _, _, caught, trials, _ in rows)
    (quiet,) = re.findall(r"^(\d+) trials of .*: not one was accused\.$", text, re.MULTILINE)
    assert int(quiet) >= least_quiet
