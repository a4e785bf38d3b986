"""The page about services of one's own, followed as it stands: a service in Node, hammered by its target file."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flashbench.catalogue import ROOT
from tests.end_to_end.reader import passed, run, tiny_suite

PAGE = (ROOT / "docs" / "your-own-service.md").read_text()
NODE, LOCUST, SUITE = (line for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in text.splitlines())

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node to run the example with")


@pytest.fixture
def start() -> Iterator[Callable[..., str]]:
    """Starts the page's service on a free port, with more options if wanted; a command of the page for it."""
    running: list[subprocess.Popen[str]] = []

    def begin(command: str, *options: str) -> str:
        words = shlex.split(NODE.replace("8099", "0"))
        service = subprocess.Popen([*words, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(service)
        assert service.stdout is not None
        port: str = service.stdout.readline().rpartition(":")[2].strip()
        return command.replace("8099", port)

    yield begin
    for service in running:
        service.terminate()
        service.communicate(timeout=10)


@needs_node
def test_a_service_that_is_right_passes_beside_a_control_and_the_verdict_says_on_whose_word(
    start: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_suite())
    done = run(start(SUITE.replace("quick", "tiny.toml")), tmp_path)
    assert passed(done.returncode), done.stdout + done.stderr
    assert re.search(r"node-shop +pass +PASS( INVALID)? +40 +40 +40 +B", done.stdout)
    assert "control naive in flash_sale: I1 found broken in 1 of 1 trials" in done.stdout
    (report,) = tmp_path.glob("results/*/report.html")
    assert "ledger and stock as stated by the target" in report.read_text()


@needs_node
def test_a_careless_one_fails_with_the_shortest_story(start: Callable[..., str], tmp_path: Path) -> None:
    done = run(start(LOCUST, "--careless").replace("-t 5s", "-t 2s").replace("--stock 300", "--stock 60"), tmp_path)
    assert done.returncode == 10, done.stdout + done.stderr
    assert re.search(r"BROKEN +I1 ", done.stdout)
    assert "I1 no oversell, in short" in done.stdout


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (" --host http://127.0.0.1:8099", "--target says how a service is spoken to, not where it is: give --host."),
        ("--host http://127.0.0.1:8099", "nothing usable answers at http://127.0.0.1:1"),
    ],
    ids=["no host", "nobody there"],
)
def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path, change: str, sentence: str) -> None:
    done = run(LOCUST.replace(change, "--host http://127.0.0.1:1" if change[0] == "-" else ""), tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
