"""Runs commands as a reader of the documentation would, who has no time: with suites that are quick."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from flashbench.catalogue import ROOT
from flashbench.vocabulary import ExitCode


def tiny_suite(run_time_s: int = 2) -> str:
    """Two trials, as small as can be."""
    return f"""
strategies = ["row_lock"]
controls = ["naive"]

[[scenarios]]
name = "flash_sale"
users = 60
run_time_s = {run_time_s}
stock = 40
think_ms = 100
twin_share = 0.2
"""


def passed(code: int) -> bool:
    """Whether it is the exit code of a PASS, if perhaps without figures: other tests may hold up the load meanwhile."""
    return code in (ExitCode.PASS, ExitCode.INVALID)


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
