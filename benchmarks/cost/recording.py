"""What recording every try costs the load generator."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.cost.lost import Lost
from flashbench.services.unprivileged import dies_with_parent

MOST_LOST = 0.05


@dataclass(frozen=True, slots=True)
class RecordingCost:
    """``lost``: the share of throughput lost. Memory is what the process grew by, disk what it wrote."""

    recorded_per_s: float
    unrecorded_per_s: float
    lost: Lost
    recorded_cpu_us: float
    unrecorded_cpu_us: float
    tries: int
    grown_bytes_per_million: float
    written_bytes_per_million: float

    @property
    def met(self) -> bool:
        return self.lost.median <= MOST_LOST


def measure_recording(pairs: int, seconds: float, progress: Callable[[str], None]) -> RecordingCost:
    """Run the probe against the fixed answer; slices alternate, so that a drifting machine hits both halves alike."""
    with tempfile.TemporaryDirectory(prefix="flashbench-cost-") as folder, _server() as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        arguments = [f"http://127.0.0.1:{port}", folder, str(pairs), str(seconds)]
        probe = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cost.recording_probe", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dies_with_parent(),
        )
        found = []
        with probe:
            assert probe.stdout is not None
            for line in probe.stdout:
                found.append(json.loads(line))
                if "recorded" in found[-1]:
                    progress(_pair(len(found), pairs, found[-1]))
        if probe.returncode != 0:
            raise RuntimeError(f"the probe ended with exit code {probe.returncode}")
    *halves, totals = found
    million = 1e6 / max(totals["tries"], 1)
    return RecordingCost(
        recorded_per_s=statistics.median(half["recorded"] for half in halves),
        unrecorded_per_s=statistics.median(half["unrecorded"] for half in halves),
        lost=Lost.of([half["recorded"] for half in halves], [half["unrecorded"] for half in halves]),
        recorded_cpu_us=statistics.median(half["recorded_cpu_us"] for half in halves),
        unrecorded_cpu_us=statistics.median(half["unrecorded_cpu_us"] for half in halves),
        tries=totals["tries"],
        grown_bytes_per_million=totals["grown_bytes"] * million,
        written_bytes_per_million=totals["bytes_a_try"] * 1e6,
    )


def _pair(number: int, pairs: int, half: dict[str, float]) -> str:
    ratio = half["recorded"] / half["unrecorded"]
    return (
        f"[{number}/{pairs}] recorded {half['recorded']:,.0f}/s, not recorded {half['unrecorded']:,.0f}/s, "
        f"ratio {ratio:.3f}"
    )


def _server() -> subprocess.Popen[str]:
    """Ends when its standard input does, which leaving the ``with`` brings about."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cost.fixed_answer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dies_with_parent(),
    )
