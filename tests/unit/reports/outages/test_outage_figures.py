"""If these fail, the timeline or the table of an outage tells another story than the evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import Quiescence
from flashbench.evidence.sealing import seal
from flashbench.vocabulary import Outcome
from reports.latency.figures import TrialFigures, figures
from reports.outages.answers import Answers, Unknowns
from reports.outages.faults import Hurts
from reports.outages.outage import OutageFigures, outage
from reports.outages.recovery import Normal
from tests.bundles import MS, OPENED_NS, BundleBuilder, Placed
from tests.outages import long_sale, watch, with_fault


def found(builder: BundleBuilder) -> TrialFigures:
    return figures(Bundle.load(builder.build()))


REPLY_LOST = {"store": "postgres", "matching": "COMMIT"}
NOTHING_FOUND = Answers(oversold=0, wrong=0, lost=0, leaked=0, stores=0)


def met(builder: BundleBuilder, normal: Normal | None = None) -> OutageFigures:
    trial = found(builder)
    return outage(trial.spans, trial.course, trial.vitals, normal, trial.unknowns, NOTHING_FOUND)


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


def test_detection_counts_from_the_fault_that_there_is_to_be_detected(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 1, 2, "postgres_stop")
    with_fault(builder, 5, 5.1, "redis_restart")
    watch(builder, "app", "worker 1", "breaker_state", {1.0: 0, 4.0: 0, 5.3: 2, 5.6: 0})
    assert met(builder).detected_s == pytest.approx(0.3)


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


def test_part_of_a_sum_is_not_shown_as_less_of_everything(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "redis", "sku-1", "remaining", {1.0: 90, 6.0: 70, 7.0: 60})
    watch(builder, "redis", "sku-2", "remaining", {1.0: 50, 7.0: 40})
    for sku in ("sku-1", "sku-2", "sku-3"):
        watch(builder, "postgres", sku, "remaining", {2.0: 45})

    trial = found(builder)

    assert trial.vitals is not None
    assert trial.vitals.redis_stock is not None
    assert trial.vitals.redis_stock.values.tolist() == [140, 100]
    assert trial.vitals.postgres_stock is not None
    assert trial.vitals.postgres_stock.values.tolist() == [90], "of what is followed in Redis"
    assert met(builder_again(builder, tmp_path)).counter_right_s == pytest.approx(2.0)


def test_a_counter_is_right_when_it_says_what_postgres_does_and_not_when_there_is_one_again(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5, "redis_rollback")
    in_postgres = {tick / 10: 120.0 - tick for tick in range(100)}
    watch(builder, "postgres", "sku-1", "remaining", in_postgres)
    before = {at_s: left + 2 for at_s, left in in_postgres.items() if at_s < 3}
    too_much = {at_s: left + 40 for at_s, left in in_postgres.items() if 3 <= at_s < 6.3}
    right = {at_s: left + 1 for at_s, left in in_postgres.items() if at_s >= 6.3}
    watch(builder, "redis", "sku-1", "remaining", {**before, **too_much, **right})

    assert met(builder).counter_right_s == pytest.approx(1.3)


def test_what_the_cold_start_took_is_no_peak_of_the_outage(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(
        builder,
        "app",
        "worker 1",
        "database_reads",
        {0.0: 0, 1.0: 500, 2.0: 510, 3.0: 520, 3.5: 560, 4.0: 580, 5.0: 590},
    )
    watch(builder, "postgres", "", "oldest_transaction_s", {1.0: 2.5, 4.0: 0.3})
    result = met(builder)
    assert result.peak_database_reads_per_s == pytest.approx(60)
    assert result.oldest_transaction_s == pytest.approx(0.3)


def test_nobody_is_late_when_nobody_arrives_any_more(tmp_path: Path) -> None:
    """A load may have to wait for its last answers."""
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    last = builder.load[-1].record
    last.returned_ns = last.invoked_ns + 4_000 * MS
    builder.trial_fields["moments"] = builder.trial().moments.model_copy(update={"load_ended_ns": last.returned_ns})
    builder.trial_fields["parameters"] |= {"run_time_s": 10.3}
    course = found(builder).course
    assert course.ended_s == pytest.approx(13.8)
    assert course.lasts_s == pytest.approx(9.8)
    assert course.offered_per_s == pytest.approx(10, rel=0.03)


def test_buyers_who_can_not_come_since_they_wait_are_held_against_a_strategy(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t", attempts=40), 3, 5)
    for placed in builder.load[30:]:
        placed.record.returned_ns = OPENED_NS + 12_000 * MS
    ended_ns = OPENED_NS + 12_000 * MS
    builder.trial_fields["moments"] = builder.trial().moments.model_copy(update={"load_ended_ns": ended_ns})
    builder.trial_fields["parameters"] |= {"run_time_s": 10}
    course = found(builder).course
    assert (course.ended_s, course.lasts_s) == pytest.approx((12, 10))


def test_what_is_over_at_once_is_an_outage_for_as_long_as_it_may_go_unnoticed(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 3.03, "redis_restart")
    builder.load[32].record.returned_ns = builder.load[32].record.invoked_ns + 90 * MS
    result = met(builder)
    assert result.slowest_ms == pytest.approx(90)
    assert result.floor_per_s is not None


def test_a_fault_that_was_planned_and_never_came_leaves_the_trial_unbitten(tmp_path: Path) -> None:
    trial = found(with_fault(long_sale(tmp_path / "t"), 3, 5))
    assert outage(trial.spans, trial.course, None, None, trial.unknowns, NOTHING_FOUND, planned=1).bitten
    assert not outage(trial.spans, trial.course, None, None, trial.unknowns, NOTHING_FOUND, planned=2).bitten
    crash = with_fault(long_sale(tmp_path / "crash"), 3, 5, "postgres_stop", bites=False)
    assert (met(crash).bitten, met(builder_again(crash, tmp_path)).crashes) == (False, 0)


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


def test_only_what_arrived_within_half_a_second_of_an_injection_may_fail(tmp_path: Path) -> None:
    noticed = with_fault(long_sale(tmp_path / "a", failing=range(30, 36)), 3, 5)  # those that arrived from 3 s to 3.4 s
    late = with_fault(long_sale(tmp_path / "b", failing=range(36, 40)), 3, 5)
    again = with_fault(with_fault(long_sale(tmp_path / "c", failing=range(36, 40)), 3, 3.4), 3.6, 5)
    assert [met(each).availability for each in (noticed, late, again)] == pytest.approx([0.94, 0.96, 0.96])
    assert met(noticed).availability_failing == 1
    assert met(late).availability_failing == pytest.approx(40 / 44)  # of those until three seconds after the heal
    assert met(again).availability_failing == 1


def test_the_slowest_request_is_no_purchase_with_its_retries(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    early, answered, silent = (builder.load[number].record for number in (4, 60, 40))
    early.returned_ns = early.invoked_ns + 1500 * MS
    answered.returned_ns = answered.invoked_ns + 800 * MS
    assert met(builder).slowest_request_s == pytest.approx(0.8), "it was over before the fault came"

    again_ns = silent.invoked_ns + 950 * MS
    builder.tries.append(
        Placed(
            builder.load[40].worker,
            replace(silent, try_number=1, intended_ns=again_ns, invoked_ns=again_ns, returned_ns=again_ns + 2 * MS),
        )
    )
    silent.outcome, silent.status, silent.order_id, silent.seq, silent.remaining = Outcome.UNKNOWN, 0, None, None, None
    silent.returned_ns = None
    assert met(builder_again(builder, tmp_path)).slowest_request_s == pytest.approx(0.9), "less the pause"


def test_reads_of_products_are_requests_too_and_one_without_an_answer_lasts_until_the_next(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    sent_ns = builder.load[40].record.invoked_ns
    builder.add_read(user=1, intended_ns=sent_ns, invoked_ns=sent_ns, returned_ns=sent_ns + 700 * MS)
    assert met(builder).slowest_request_s == pytest.approx(0.7)

    builder.add_read(user=2, intended_ns=sent_ns, invoked_ns=sent_ns, returned_ns=None, status=0)
    builder.add_read(user=2, intended_ns=sent_ns, invoked_ns=sent_ns + 1100 * MS, returned_ns=sent_ns + 1101 * MS)
    assert met(builder_again(builder, tmp_path)).slowest_request_s == pytest.approx(1.1)


def test_a_request_without_an_answer_that_was_not_sent_again_is_of_no_known_length(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t", unknowns=40), 3, 5)
    assert met(builder).slowest_request_s == pytest.approx(0.003)


def test_unknown_outcomes_are_resolved_by_a_whole_ledger_at_rest(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t", unknowns=5), 3, 5)
    assert met(builder).unknowns == Unknowns(bought=3, not_bought=2, unresolved=0)
    builder.trial_fields["quiescence"] = Quiescence(reached=False, waited_s=9, snapshots_apart_s=3)
    assert met(builder_again(builder, tmp_path)).unknowns == Unknowns(0, 0, unresolved=5)


def test_recovery_is_that_of_the_worst_heal_that_could_be_judged(tmp_path: Path) -> None:
    quick = found(long_sale(tmp_path / "calm", attempts=300, stock=400))
    normal = Normal.of([quick.course])
    assert normal is not None
    flapping = with_fault(with_fault(long_sale(tmp_path / "a", attempts=300, stock=400), 3, 4), 5, 6)
    assert [each.took_s for each in met(flapping, normal).recoveries] == [None, pytest.approx(0, abs=0.11)]
    assert met(flapping, normal).recovered_s == pytest.approx(0, abs=0.11), "nobody could tell after the first"

    slow = with_fault(with_fault(long_sale(tmp_path / "b", attempts=300, stock=400), 3, 4), 20, 21)
    for placed in slow.load[40:90]:
        placed.record.returned_ns = placed.record.invoked_ns + 40 * MS
    result = met(slow, normal)
    assert result.recovered_s == pytest.approx(5.0, abs=0.2)
    for placed in slow.load[90:210]:
        placed.record.returned_ns = placed.record.invoked_ns + 40 * MS
    result = met(builder_again(slow, tmp_path), normal)
    assert (result.recovered_s, result.why_not) == (None, "not before the next fault came")
    assert result.unrecovered_s == pytest.approx(13)


def test_a_lock_past_its_lease_is_counted_and_one_of_before_is_not(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 4, 5)
    watch(builder, "redis", "", "locks_held", {at_s / 10: 1 for at_s in range(90)})
    watch(builder, "redis", "a", "lock_held_s", {0.1: 0, 1.0: 0.9, 3.5: 3.4, 3.6: 0, 3.7: 0.1})
    watch(builder, "redis", "b", "lock_held_s", {3.0: 0, 4.0: 1.0, 7.0: 4.0, 7.1: 0, 7.2: 0, 8.0: 0.8})
    watch(builder, "redis", "b", "lock_left_s", {3.0: -1, 4.0: -1, 7.0: -1, 7.1: 3, 7.2: 3, 8.0: 2.2})

    result = met(builder)
    assert result.longest_lock_s == pytest.approx(4.0)
    assert result.stale_locks == 1
    vitals = found(builder_again(builder, tmp_path)).vitals
    assert vitals is not None
    assert vitals.locks is not None
    assert [(each.lock, each.leased) for each in vitals.locks.holdings] == [
        *(("a", True), ("a", True)),
        *(("b", False), ("b", True), ("b", True)),
    ]
    assert vitals.locks.longest_s.max() == 4


@pytest.mark.parametrize(("looked_until_s", "stale"), [(9.9, 0), (4.5, None)])
def test_that_no_lock_was_past_its_lease_is_said_by_who_looked_until_the_end(
    tmp_path: Path, looked_until_s: float, stale: int | None
) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "redis", "", "locks_held", {at_s / 10: 0 for at_s in range(round(10 * looked_until_s))})
    assert met(builder).stale_locks == stale


def test_a_lock_without_a_lease_is_past_it_at_once(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "redis", "", "locks_held", {at_s / 10: 1 for at_s in range(99)})
    watch(builder, "redis", "a", "lock_held_s", {9.0: 0, 9.5: 0.5})
    watch(builder, "redis", "a", "lock_left_s", {9.0: -1, 9.5: -1})
    assert met(builder).stale_locks == 1


def test_where_nobody_looked_at_locks_nothing_is_said_of_them(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "redis", "", "up", {1.0: 1})
    assert (met(builder).longest_lock_s, met(builder_again(builder, tmp_path)).stale_locks) == (None, None)


def test_database_reads_are_those_of_all_workers_the_killed_ones_too(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5, "worker_kill")
    watch(builder, "app", "worker 1", "database_reads", {0.0: 100, 1.0: 120, 2.0: 140})
    watch(builder, "app", "worker 2", "database_reads", {0.0: 10, 1.0: 10, 2.0: 10, 3.0: 10, 4.0: 10})
    watch(builder, "app", "worker 3", "database_reads", {3.0: 30, 4.0: 90})
    watch(builder, "postgres", "", "oldest_transaction_s", {2.0: 2.1, 3.0: 0.2, 4.0: 1.4, 5.0: 0})
    result = met(builder)
    assert result.peak_database_reads_per_s == pytest.approx(60)
    assert result.oldest_transaction_s == pytest.approx(1.4)


def test_a_counter_that_began_anew_with_its_server_has_not_run_backwards(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5, "postgres_stop")
    watch(builder, "postgres", "", "statements", {0.0: 1000, 1.0: 1100, 2.0: 1200, 3.0: 30, 4.0: 90})
    vitals = found(builder).vitals
    assert vitals is not None
    assert vitals.statements_per_s is not None
    assert vitals.statements_per_s.values.tolist() == [100, 100, 30, 60]
    assert met(builder_again(builder, tmp_path)).crashes == 1


def test_a_worker_that_was_gone_before_the_fault_never_had_to_notice_it(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5)
    watch(builder, "app", "worker 1", "breaker_state", {1.0: 0, 2.0: 0})
    watch(builder, "app", "worker 2", "breaker_state", {1.0: 0, 3.2: 2, 4.0: 2})
    assert met(builder).detected_s == pytest.approx(0.2)


def test_the_diary_is_told_in_words_and_by_whom_it_hurts(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "t"), 3, 5, "net_drop_reply", options=REPLY_LOST)
    with_fault(builder, 4, 6, "worker_kill", bites=False)
    first, second = found(builder).spans
    assert first.words == "Replies of Postgres to COMMIT dropped"
    assert (first.hurts, second.hurts) == (Hurts.POSTGRES, Hurts.APP)
    assert first.bit_s == pytest.approx(3.02)
    assert (first.bite, first.heal) == ("a connection is refused", "it answers")
    assert (second.bit_s, second.bite, second.healed) == (None, "", True)
