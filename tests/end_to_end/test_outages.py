"""If these fail, an outage of Redis is not what it says, is not seen, or is not survived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flashbench.evidence.bundle import Bundle
from flashbench.vocabulary import Verdict
from reports.latency.figures import figures
from reports.summary import summarize

pytestmark = pytest.mark.alone

SUITE = """
strategies = ["redis_lua"]

[[scenarios]]
name = "sustained"
label = "rough"
users = 10
run_time_s = 8
arrivals_per_s = 60
stock = 700

[[scenarios.faults]]
fault = "redis_kill"
at_s = 1
for_s = 2

[[scenarios.faults]]
fault = "redis_hang"
at_s = 4
for_s = 2
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A suite in which Redis was killed, came back, and hung."""
    folder = tmp_path_factory.mktemp("outages")
    (folder / "rough.toml").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", "rough.toml", "--out", "results"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    (result,) = (folder / "results").glob("rough-*")
    return result, done


def trial(result: Path) -> Bundle:
    (folder,) = result.glob("*redis_lua*")
    return Bundle.load(folder)


def test_a_strategy_that_falls_back_passes_through_both_outages(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    result, done = finished
    assert done.returncode == 11, done.stdout + done.stderr  # without a control nothing shows that it could have failed
    assert "\x1b" not in done.stdout, "colour without a terminal"
    summary = summarize(result)
    assert summary.verdict.reasons == ("scenario sustained has no caught control",)
    assert [each.verdict.verdict for each in summary.trials] == [Verdict.PASS]


def test_both_faults_bit_and_were_undone_before_the_drain(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    bundle = trial(finished[0])
    steps = [(event.place, event.fault, event.step) for event in bundle.faults]
    assert steps == [
        *((0, "redis_kill", "injected"), (0, "redis_kill", "bit"), (0, "redis_kill", "healed")),
        *((1, "redis_hang", "injected"), (1, "redis_hang", "bit"), (1, "redis_hang", "healed")),
    ]
    drain_ns = bundle.trial.moments.drain_started_ns
    assert drain_ns is not None
    assert all(event.at_ns < drain_ns for event in bundle.faults)


def test_telemetry_saw_redis_go_and_the_workers_notice(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    seen = figures(trial(finished[0]))
    assert seen.vitals is not None
    assert len(seen.vitals.redis_away) == 2
    for span, away in zip(seen.spans, seen.vitals.redis_away, strict=True):
        assert away[0] == pytest.approx(span.from_s, abs=0.5)
        assert away[1] == pytest.approx(span.to_s, abs=0.5)
    assert len(seen.vitals.breakers) == 2
    for line in seen.vitals.breakers:
        assert line.values.max() == 2
        assert line.values[0] == 0
    assert seen.vitals.redis_stock is not None
    assert seen.vitals.postgres_stock is not None
    assert {"app worker 1", "app worker 2", "postgres", "redis", "load", "telemetry"} <= set(seen.vitals.cpu_share)


def test_it_kept_selling_and_the_report_says_so(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    result, _ = finished
    (row,) = summarize(result).outages
    met = row.trials[0].outage
    assert met is not None
    assert met.availability is not None
    assert met.availability > 0.99
    assert met.detected_s is not None
    page = (result / "report.html").read_text()
    assert "rough: what buyers and stores saw" in page
    assert "no fault-free trial of the same strategy and load" in page
    (outage,) = json.loads((result / "report.json").read_text())["outages"]
    assert outage["faults"] == ["redis_kill", "redis_hang"]
    assert (result / "plots" / "timeline-rough.png").stat().st_size > 10_000
