"""If these fail, the timeline or the table of an outage tells another story than the evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.sealing import seal
from flashbench.vocabulary import Outcome
from reports.latency.figures import TrialFigures, figures
from reports.outages.outage import OutageFigures, outage
from tests.bundles import MS, BundleBuilder
from tests.outages import long_sale, watch, with_fault


def found(builder: BundleBuilder) -> TrialFigures:
    return figures(Bundle.load(builder.build()))


def met(builder: BundleBuilder) -> OutageFigures:
    trial = found(builder)
    return outage(trial.spans, trial.course, trial.vitals, None)


def test_a_course_counts_every_decision_where_it_was_answered(tmp_path: Path) -> None:
    course = found(long_sale(tmp_path / "t")).course

    assert course.ended_s == pytest.approx(9.803)
    assert len(course.bins_s) == 49  # whole fifths of a second
    assert course.sold.tolist() == [10.0] * 49
    assert not course.refused.any()
    assert course.p95_ms == pytest.approx(3)
    assert course.window_goodput == pytest.approx(10)
    assert course.availability(0, 10) == 1
    assert course.offered_per_s == pytest.approx(10, rel=0.03)


def test_purchases_that_were_never_decided_cost_availability_and_show_as_errors(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    gone = {row.key for row in builder.ledger[30:40]}
    for placed in builder.load[30:40]:
        placed.record.outcome, placed.record.status, placed.record.order_id = Outcome.FAILED, 503, None
        placed.record.seq = placed.record.remaining = None
    builder.ledger = [row for row in builder.ledger if row.key not in gone]

    result = met(builder)

    assert result.availability == pytest.approx(0.9)
    assert result.worst_second == 0
    assert result.errors == {Outcome.FAILED: 10, Outcome.UNKNOWN: 0}
    assert result.first_answer_s == pytest.approx(1.003)
    assert result.floor_per_s == 0
    assert result.why_not == "no fault-free trial of the same strategy and load is there to compare with"


def test_the_slowest_purchase_is_of_those_that_arrived_during_the_fault(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    builder.load[10].record.returned_ns = builder.load[10].record.invoked_ns + 700 * MS
    builder.load[35].record.returned_ns = builder.load[35].record.invoked_ns + 90 * MS
    assert met(builder).slowest_ms == pytest.approx(90)


def test_nothing_after_the_stock_was_gone_is_held_against_a_strategy(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t", stock=40), 5, 7)
    result = met(builder)
    trial = found(builder_again(builder, tmp_path))
    assert trial.course.lasts_s == pytest.approx(3.803)
    assert result.availability == 1
    assert result.floor_per_s is None


def builder_again(builder: BundleBuilder, folder: Path) -> BundleBuilder:
    builder.folder = folder / "again"
    return builder


def test_detection_waits_for_the_last_worker_and_is_unknown_if_one_never_opened(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "app", "worker 1", "breaker_state", {1.0: 0, 3.1: 2, 4.0: 2, 5.5: 0})
    watch(builder, "app", "worker 2", "breaker_state", {1.0: 0, 3.1: 0, 3.4: 2, 5.6: 0})
    assert met(builder).detected_s == pytest.approx(0.4)

    watch(builder, "app", "worker 3", "breaker_state", {1.0: 0, 4.0: 0})
    assert met(builder_again(builder, tmp_path)).detected_s is None


def test_telemetry_tells_when_redis_was_away_and_what_was_left(tmp_path: Path) -> None:
    builder = long_sale(tmp_path / "t")
    watch(builder, "redis", "", "up", {1.0: 1, 1.1: 0, 1.2: 0, 1.3: 1, 4.0: 0})
    watch(builder, "redis", "sku-1", "remaining", {1.0: 90, 2.0: 80})
    watch(builder, "redis", "sku-1", "held", {1.0: 3, 2.0: 4})
    watch(builder, "postgres", "", "statements", {0.0: 100, 1.0: 600, 2.0: 700})
    watch(builder, "process", "redis", "cpu_s", {0.0: 1, 2.0: 1.5})

    vitals = found(builder).vitals

    assert vitals is not None
    assert np.array(vitals.redis_away) == pytest.approx(np.array([(1.1, 1.3), (4.0, 4.0)]))
    assert vitals.redis_stock is not None
    assert vitals.redis_stock.values.tolist() == [93, 84]
    assert vitals.postgres_stock is None
    assert vitals.statements_per_s is not None
    assert vitals.statements_per_s.values.tolist() == [500, 100]
    assert vitals.cpu_share == {"redis": 0.25}


def test_a_trial_without_telemetry_is_none_the_worse(tmp_path: Path) -> None:
    assert found(long_sale(tmp_path / "t")).vitals is None


def test_a_sampler_that_was_killed_in_mid_line_leaves_what_it_had(tmp_path: Path) -> None:
    builder = long_sale(tmp_path / "t")
    watch(builder, "redis", "", "up", {1.0: 1, 1.1: 1})
    folder = builder.build(sealed=False)
    with (folder / "telemetry.ndjson").open("a") as file:
        file.write('{"at_ns": 12, "sour')
    seal(folder)
    bundle = Bundle.load(folder)
    assert bundle.telemetry is not None
    assert len(bundle.telemetry) == 2
    assert bundle.problems == []
    assert bundle.trial.problems == ()


def test_an_empty_load_has_a_course_too(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", attempts=0)
    course = found(builder).course
    assert not course.sold.any()
    assert np.isnan(course.p95_ms).all()
    assert course.availability(0, 1) is None
