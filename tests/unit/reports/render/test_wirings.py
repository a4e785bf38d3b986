"""If these fail, the report compares what is not alike, or hides what a protection or a round trip changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.latency.figures import StrategyFigures
from reports.latency.statistics import Estimate
from reports.protections import protections
from reports.render.wiring_tables import protection_remarks
from reports.report import write_report
from reports.round_trips import ranking_words, round_trips
from reports.summary import summarize
from reports.wiring import Wiring
from tests.outage_lab import STRATEGIES, wired

PROTECTIONS: dict[str, dict[str, Any]] = {
    "as-it-is": {"store_rtt_ms": 0},
    "no-flight": {"app": {"cache_single_flight": "false"}},
}
DISTANCES = {
    f"{set_ms} ms": {"store_rtt_ms": set_ms, "round_trip_us": {"redis": 100 + 1000 * set_ms, "postgres": 120}}
    for set_ms in (5, 0, 1)
}


def test_the_same_strategies_with_and_without_a_protection_stand_side_by_side(tmp_path: Path) -> None:
    folder = wired(tmp_path / "suite", PROTECTIONS, fault=True)
    (found,) = protections(summarize(folder))
    assert [(row.strategy, row.wiring.settings) for row in found.rows] == [
        (strategy, settings) for strategy in STRATEGIES for settings in ("as it is", "cache_single_flight = false")
    ]
    paths = write_report(folder)
    page = paths.html.read_text()
    assert "What each protection buys" in page
    assert "redis_lua with cache_single_flight = false: products were read from Postgres up to 1,2" in page
    assert "10.0 times as often" in page
    assert "| redis_lua | cache_single_flight = false | " in paths.markdown.read_text()
    (document,) = json.loads(paths.json.read_text())["protections"]
    assert document["faults"] == "Redis killed"
    assert document["rows"][1]["app"] == {"cache_single_flight": "false"}
    assert document["rows"][1]["trials"][0]["peak_database_reads_per_s"] == pytest.approx(1200, rel=0.05)


def test_loads_without_a_fault_are_told_apart_by_a_case_of_theirs(tmp_path: Path) -> None:
    calm = {
        f"{where}-{name}": {"store_rtt_ms": set_ms, **settings}
        for where, set_ms in (("near", 0), ("far", 5))
        for name, settings in (("as-it-is", {}), ("no-flight", {"app": {"cache_single_flight": "false"}}))
    }
    folder = wired(tmp_path / "suite", calm, fault=False)
    found = protections(summarize(folder))
    assert [each.words for each in found] == ["Without a fault (near-as-it-is)", "Without a fault (far-as-it-is)"]
    paths = write_report(folder)
    assert "slowest request, s" in paths.markdown.read_text()
    assert "Without a fault (far-as-it-is)" in paths.html.read_text()
    for document in json.loads(paths.json.read_text())["protections"]:
        assert all(trial["slowest_request_s"] > 0 for row in document["rows"] for trial in row["trials"])


def test_settings_are_in_the_order_of_reads_and_a_sentence_tells_of_the_last(tmp_path: Path) -> None:
    bare: dict[str, dict[str, Any]] = {
        "d-as-it-is": {},
        "c-no-flight": {"app": {"cache_single_flight": "false"}},
        "b-no-early-refresh": {"app": {"cache_early_beta": "0"}},
        "a-nothing": {"app": {"cache_early_beta": "0", "cache_single_flight": "false"}},
    }
    (found,) = protections(summarize(wired(tmp_path / "suite", bare, fault=True)))
    rows = [row.case for row in found.rows if row.strategy == "row_lock"]
    assert rows == list(bare)
    assert [(row.strategy, row.case) for row in found.most_read] == [(each, "a-nothing") for each in STRATEGIES]
    remarks = protection_remarks(found)
    assert len(remarks) == len(STRATEGIES)
    assert "row_lock with cache_early_beta = 0, cache_single_flight = false: " in remarks[0]


def test_without_the_app_as_it_is_nothing_is_said_to_be_so_many_times_as_much(tmp_path: Path) -> None:
    settings = {name: {"app": {"cache_jitter": name}} for name in ("0", "0.5")}
    page = write_report(wired(tmp_path / "suite", settings, fault=True)).html.read_text()
    assert "What each protection buys" in page
    assert "times as often." not in page


def test_trials_of_one_wiring_are_never_measured_by_those_of_another(tmp_path: Path) -> None:
    folder = wired(tmp_path / "suite", {"calm": {"app": {"cache_jitter": "0"}}}, fault=False)
    with_fault = wired(tmp_path / "other", {"kill": {}}, fault=True)
    for trial in with_fault.glob("kill-*"):
        trial.rename(folder / trial.name)
    (folder / "suite.json").unlink()
    assert all(row.normal is None for row in summarize(folder).outages)


def test_the_ranking_over_round_trips_is_a_picture_a_table_and_a_sentence(tmp_path: Path) -> None:
    folder = wired(tmp_path / "suite", DISTANCES, fault=False, seeds=2)
    (found,) = round_trips(summarize(folder))
    assert [each.set_ms for each in found.distances] == [0, 1, 5]
    assert found.measured
    assert found.at_ms(found.distances[2]) == pytest.approx((5.1 + 0.12) / 2)

    paths = write_report(folder)
    page = paths.html.read_text()
    assert "How the round trip to the stores changes the ranking" in page
    assert "round-trips-1-sustained.svg" in {path.name for path in paths.plots}
    assert "1 ms, measured 0.61" in page
    assert "By sales per second" in page
    text = paths.markdown.read_text()
    assert "**How the round trip to the stores changes the ranking**" in text
    assert "5 ms p95, ms" in text
    (document,) = json.loads(paths.json.read_text())["round_trips"]
    assert [each["store_rtt_ms"] for each in document["distances"]] == [0, 1, 5]
    assert {each["strategy"] for each in document["distances"][0]["strategies"]} == set(STRATEGIES)


def test_one_round_trip_alone_changes_no_ranking(tmp_path: Path) -> None:
    page = write_report(wired(tmp_path / "suite", {"calm": {"store_rtt_ms": 1}}, fault=False)).html.read_text()
    assert "How the round trip" not in page
    assert "What each protection buys" not in page


def test_an_order_that_changes_is_told_at_each_round_trip(tmp_path: Path) -> None:
    (found,) = round_trips(summarize(wired(tmp_path / "suite", DISTANCES, fault=False)))

    def sold(*rates: float) -> tuple[StrategyFigures, ...]:
        """Each strategy's, in two trials that are half a sale apart."""
        rows = found.distances[0].rows
        return tuple(
            replace(row, sales_per_s=Estimate.of([rate, rate + 0.5])) for row, rate in zip(rows, rates, strict=True)
        )

    near, _, far = found.distances
    same = replace(found, distances=(replace(near, rows=sold(1, 2, 3)), replace(far, rows=sold(4, 5, 6))))
    assert ranking_words(same) == (
        "By sales per second the order is the same at every round trip: redis_lua, then redis_lock, then row_lock."
    )
    other = replace(found, distances=(replace(near, rows=sold(1, 2, 3)), replace(far, rows=sold(4, 6, 5))))
    assert ranking_words(other).startswith("By sales per second the order changes: at 0 ms redis_lua, then redis_lock")
    assert "; at 5 ms redis_lock, then" in ranking_words(other)
    tied = replace(found, distances=(replace(near, rows=sold(1, 2, 3)), replace(far, rows=sold(4, 6, 6.4))))
    assert ranking_words(tied).startswith("By sales per second no two change places, but they are not told apart")
    assert "at 5 ms redis_lock and redis_lua alike, then row_lock" in ranking_words(tied)
    three = found.distances[0].rows[:1] + sold(4, 5, 6)[1:]
    partly = replace(found, distances=(replace(near, rows=sold(1, 2, 3)), replace(far, rows=three[1:])))
    left_out = three[0].strategy
    assert "the order is the same at every round trip" in ranking_words(partly)
    assert ranking_words(partly).endswith(f"Without {left_out}, which did not sell at every one.")
    alone = replace(found, distances=(replace(near, rows=sold(1, 2, 3)), replace(far, rows=())))
    assert "no ranking to be changed" in ranking_words(alone)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"store_rtt_ms": None, "app": None, "round_trip_us": None},
        {"store_rtt_ms": "near", "app": ["x"], "round_trip_us": {"redis": "far"}},
        {"store_rtt_ms": -1, "app": {}, "round_trip_us": 12},
        {"store_rtt_ms": True},
    ],
)
def test_a_wiring_that_is_not_as_it_should_be_is_none(document: dict[str, object]) -> None:
    assert Wiring.of(document) == Wiring(False, 0.0, (), ())
