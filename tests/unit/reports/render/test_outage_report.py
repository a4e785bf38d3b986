"""If these fail, the report hides an outage, tells of one that was not, or breaks off for want of something."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from flashbench.evidence.manifest import entry_of, evidence_files
from flashbench.vocabulary import Outcome, Verdict
from reports.report import write_report
from reports.summary import summarize
from tests.outages import long_sale, outage_suite, watch


def test_an_outage_is_shown_as_a_table_and_a_timeline(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite", seeds=2)

    paths = write_report(folder)

    page = paths.html.read_text()
    assert "When Redis, Postgres, the network or the app goes away" in page
    assert "sustained-redis_kill: what buyers and stores saw" in page
    assert "redis_lua counts as recovered with at least 32 decisions/s" in page
    assert "Measured where a flush to disk took 1,200 µs" in page
    assert "Many buyers." in page
    assert {path.name for path in paths.plots} >= {"timeline-sustained-redis_kill.svg", "course-sustained.png"}
    assert "| redis_lua | 2/2 PASS | 100 % | 100 % | 100 % | 40 | 3 | " in paths.markdown.read_text()


def test_the_offered_load_is_held_against_what_a_waiting_crowd_was_sold(tmp_path: Path) -> None:
    page = write_report(outage_suite(tmp_path / "suite", crowd_apart_ms=4)).html.read_text()

    assert "Offered were 40 purchases/s, 20% of the 200 that the row lock alone sold" in page
    assert "more than the 60 %" not in page


def test_a_load_at_which_nobody_waits_says_nothing_of_what_could_be_sold(tmp_path: Path) -> None:
    page = write_report(outage_suite(tmp_path / "suite")).html.read_text()

    assert "what the path without Redis can sell at most was not measured over this way to the stores" in page


def test_what_a_crowd_was_sold_over_another_way_to_the_stores_is_not_held_against_the_load(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite", crowd_apart_ms=4, crowd_wiring={"proxied": True})

    page = write_report(folder).html.read_text()

    assert "what the path without Redis can sell at most was not measured over this way to the stores" in page


def test_a_load_close_to_what_the_row_lock_can_sell_is_said_to_measure_overload(tmp_path: Path) -> None:
    page = write_report(outage_suite(tmp_path / "suite", crowd_apart_ms=20)).html.read_text()

    assert "Offered were 40 purchases/s, 100% of the 40 that" in page
    assert "more than the 60 %" in page


def test_figures_of_an_outage_are_apart_from_those_without(tmp_path: Path) -> None:
    summary = summarize(outage_suite(tmp_path / "suite"))

    assert summary.verdict.verdict is Verdict.PASS
    assert [(row.case, row.strategy, row.trials) for row in summary.strategies] == [
        ("sustained", "row_lock", 1),
        ("sustained", "redis_lua", 1),
    ]
    by_strategy = {row.strategy: row.trials[0].outage for row in summary.outages}
    row_lock, redis_lua = by_strategy["row_lock"], by_strategy["redis_lua"]
    assert row_lock is not None
    assert redis_lua is not None
    assert row_lock.detected_s is None
    assert redis_lua.detected_s == pytest.approx(0, abs=1e-6)
    assert redis_lua.recovered_s == 0
    assert redis_lua.counter_right_s == pytest.approx(0, abs=1e-6)
    assert row_lock.counter_right_s is None
    assert redis_lua.errors == {Outcome.FAILED: 0, Outcome.UNKNOWN: 0}
    assert redis_lua.peak_statements_per_s == pytest.approx(500)
    document = json.loads((write_report(tmp_path / "suite").json).read_text())
    assert document["outages"][0]["faults"] == ["redis_kill"]


def test_without_telemetry_the_report_says_what_it_can(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite", telemetry=False)

    page = write_report(folder).html.read_text()

    assert "There is no telemetry among the evidence" in page
    assert "breakers" not in " ".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "What it asked of the machine" not in page


def test_a_suite_in_which_every_trial_failed_still_gives_a_report(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite")
    for ledger in folder.glob("*/ledger.parquet"):
        ledger.unlink()

    page = write_report(folder).html.read_text()

    assert summarize(folder).verdict.verdict is Verdict.UNPROVEN
    assert "ledger.parquet is missing" in page


def test_trials_that_are_gone_altogether_leave_nothing_to_compare(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite")
    for trial in folder.glob("sustained*"):
        shutil.rmtree(trial)

    page = write_report(folder).html.read_text()

    assert "There is nothing to compare" in page
    assert "was planned and is missing" in page


def test_a_fault_that_never_healed_lasts_to_the_end(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite")
    trial = folder / "sustained-redis_kill-redis_lua-s0"
    events = (trial / "faults.jsonl").read_text().splitlines()
    (trial / "faults.jsonl").write_text("\n".join(events[:2]) + "\n")
    manifest = json.loads((trial / "manifest.json").read_text())
    manifest["files"] = [
        {**entry, **entry_of(trial / entry["name"]).model_dump(exclude={"rows"})} for entry in manifest["files"]
    ]
    (trial / "manifest.json").write_text(json.dumps(manifest))

    summary = summarize(folder)

    assert any("was not healed before the drain" in reason for reason in summary.verdict.reasons)
    (row,) = [row for row in summary.outages if row.strategy == "redis_lua"]
    assert row.trials[0].spans[0].to_s == pytest.approx(row.trials[0].course.ended_s)
    assert write_report(folder).html.exists()


def test_an_outage_that_nobody_planned_is_seen_and_a_planned_one_is_not_told_twice(tmp_path: Path) -> None:
    builder = long_sale(tmp_path / "alone")
    watch(builder, "redis", "", "up", {0.5: 1, 2.0: 0, 3.0: 0, 4.0: 1, 5.0: 1})
    summary = summarize(builder.build())
    figures = summary.trials[0].figures
    assert figures is not None
    (away,) = figures.unplanned
    assert away == pytest.approx((2.0, 4.0))
    page = write_report(builder.folder).html.read_text()
    assert "Redis away, unplanned" in page
    assert "Redis did not answer from 2.0 s to 4.0 s, which nobody had planned" in page

    (planned,) = [
        row.trials[0] for row in summarize(outage_suite(tmp_path / "suite")).outages if row.strategy == "redis_lua"
    ]
    assert planned.unplanned == ()


def test_a_report_is_no_evidence(tmp_path: Path) -> None:
    folder = outage_suite(tmp_path / "suite")
    before = summarize(folder).verdict
    write_report(folder)
    assert summarize(folder).verdict == before
    trials = [path for path in folder.iterdir() if (path / "trial.json").exists()]
    assert not any(path.name.startswith("report") for trial in trials for path in evidence_files(trial))
