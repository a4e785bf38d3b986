"""What it costs to get from a large trial's evidence to a finished report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flashbench.services.unprivileged import dies_with_parent

MOST_SECONDS = 20.0
MOST_GIB = 1.5
STAGES = {
    "sealing": ("-m", "flashbench.evidence.sealing"),
    "report (judged, drawn, written)": ("-m", "benchmarks", "report"),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One process: wall-clock seconds, and the most memory it held."""

    name: str
    seconds: float
    peak_gib: float


@dataclass(frozen=True, slots=True)
class ReportCost:
    """All stages of one trial of ``tries`` tries."""

    tries: int
    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def peak_gib(self) -> float:
        return max(stage.peak_gib for stage in self.stages)

    @property
    def met(self) -> bool:
        return self.seconds <= MOST_SECONDS and self.peak_gib <= MOST_GIB


def measure_report(tries: int, progress: Callable[[str], None]) -> ReportCost:
    """Make an honest trial of ``tries`` tries, then seal it and write its report, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="flashbench-cost-") as scratch:
        folder = Path(scratch) / "synthetic"
        folder.mkdir()
        progress(f"recording {tries:,} tries (not counted)")
        _stage("recording", ["-m", "benchmarks.cost.synthesis", str(folder), str(tries)])
        stages = []
        for name, command in STAGES.items():
            progress(name)
            stages.append(_stage(name, [*command, str(folder)]))
        return ReportCost(tries, tuple(stages))


def _stage(name: str, arguments: list[str]) -> Stage:
    started_s = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=dies_with_parent(),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{name} ended with {process.returncode}:\n{output.read().decode(errors='replace')}")
    return Stage(name, time.monotonic() - started_s, usage.ru_maxrss / 2**20)
