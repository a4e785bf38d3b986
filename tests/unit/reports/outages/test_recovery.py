"""If these fail, a strategy is said to have recovered when it had not, or never to recover though it had."""

from __future__ import annotations

import numpy as np
import pytest

from flashbench.vocabulary import Outcome
from reports.outages.course import STEP_S, WINDOW_S, Course, Floats
from reports.outages.recovery import Normal, recoveries, recovery_s
from reports.outages.spans import Span

EMPTY = np.empty(0)


def course(goodput: Floats, p95_ms: Floats, *, lasts_s: float | None = None) -> Course:
    """A course of which only the windows matter."""
    ended_s = len(goodput) * STEP_S + WINDOW_S - STEP_S
    return Course(
        ended_s=ended_s,
        lasts_s=ended_s if lasts_s is None else lasts_s,
        bins_s=EMPTY,
        sold=EMPTY,
        refused=EMPTY,
        p95_ms=EMPTY,
        errors_s={Outcome.FAILED: EMPTY, Outcome.UNKNOWN: EMPTY},
        windows_s=np.float64(STEP_S) * np.arange(0.0, len(goodput)),
        window_goodput=goodput,
        window_p95_ms=p95_ms,
        arrived_s=EMPTY,
        served=np.empty(0, bool),
        answered_s=EMPTY,
        invoked_s=EMPTY,
        latency_ms=EMPTY,
        sent_s=EMPTY,
        took_s=EMPTY,
    )


def steady(seconds: float = 12, goodput: float = 200, p95_ms: float = 5) -> Course:
    count = round(seconds / STEP_S)
    return course(np.full(count, goodput), np.full(count, p95_ms))


def slump(*, from_s: float, to_s: float, goodput: float = 20, p95_ms: float = 5) -> Course:
    whole = steady()
    inside = (whole.windows_s + WINDOW_S > from_s) & (whole.windows_s < to_s)
    return course(np.where(inside, goodput, 200.0), np.where(inside, p95_ms, 5.0))


def normal() -> Normal:
    found = Normal.of([steady(), steady()])
    assert found is not None
    return found


@pytest.mark.parametrize(("p95_ms", "most_p95_ms"), [(5, 15), (20, 30), (40, 60)])
def test_limits_are_four_fifths_of_goodput_and_half_as_slow_again_or_ten_milliseconds(
    p95_ms: float, most_p95_ms: float
) -> None:
    found = Normal.of([steady(p95_ms=p95_ms), steady(p95_ms=p95_ms)])
    assert found is not None
    assert (found.least_goodput, found.most_p95_ms, found.trials) == (160, most_p95_ms, 2)


def test_what_never_slumped_has_recovered_at_once() -> None:
    assert recovery_s(normal(), steady(), healed_s=6.0) == 0


def test_recovery_counts_from_the_heal_to_the_first_of_three_good_seconds() -> None:
    assert recovery_s(normal(), slump(from_s=3, to_s=7.5), healed_s=6.0) == pytest.approx(1.5)
    assert recovery_s(normal(), slump(from_s=3, to_s=5.0), healed_s=6.0) == 0


def test_goodput_alone_is_no_recovery_while_answers_are_slow() -> None:
    slow = slump(from_s=3, to_s=8.0, goodput=200, p95_ms=50)
    assert recovery_s(normal(), slow, healed_s=6.0) == pytest.approx(2.0)


def test_a_good_second_between_bad_ones_does_not_count() -> None:
    whole = steady()
    bad = (whole.windows_s < 7) | ((whole.windows_s > 7.8) & (whole.windows_s < 9))
    relapsing = course(np.where(bad, 20.0, 200.0), whole.window_p95_ms)
    assert recovery_s(normal(), relapsing, healed_s=6.0) == pytest.approx(3.0)


def test_a_load_that_ends_too_soon_never_recovers() -> None:
    assert recovery_s(normal(), slump(from_s=3, to_s=11), healed_s=6.0) is None
    assert recovery_s(normal(), steady(seconds=3), healed_s=2.5) is None


def test_seconds_after_the_stock_was_gone_do_not_count() -> None:
    count = round(12 / STEP_S)
    sold_out = course(np.full(count, 200.0), np.full(count, 5.0), lasts_s=7)
    assert recovery_s(normal(), sold_out, healed_s=6.0) is None


def test_noisy_loads_widen_the_limits_and_still_recover_at_once() -> None:
    chance = np.random.default_rng(3)
    noisy = [course(chance.normal(200, 30, 130), chance.lognormal(3, 0.4, 130)) for _ in range(6)]
    found = Normal.of(noisy)
    assert found is not None
    assert found.least_goodput < 160
    assert found.most_p95_ms > 35
    at_once = [
        took is not None and took <= STEP_S
        for each in noisy
        for healed_s in np.arange(1, 9, 0.5)
        for took in [recovery_s(found, each, float(healed_s))]
    ]
    assert np.mean(at_once) >= 0.9


def test_how_often_loads_without_a_fault_look_as_if_they_did_not_recover_is_told() -> None:
    even = Normal.of([steady() for _ in range(4)])
    assert even is not None
    assert even.late_share == 0
    sold_out = course(np.full(140, 200.0), np.full(140, 5.0), lasts_s=9)
    soon_over = Normal.of([sold_out])
    assert soon_over is not None
    assert soon_over.late_share == 0
    uneven = Normal.of([*(steady(seconds=20) for _ in range(60)), slump(from_s=8, to_s=14, goodput=20)])
    assert uneven is not None
    assert 0 < uneven.late_share < 0.01


def test_loads_that_are_unlike_each_other_make_a_wide_rule() -> None:
    unlike = Normal.of([steady(p95_ms=5), steady(p95_ms=50)])
    assert unlike is not None
    assert unlike.most_p95_ms == pytest.approx(50)


def test_of_the_moments_of_unsteady_loads_nineteen_in_twenty_count_as_recovered() -> None:
    chance = np.random.default_rng(1)
    loads = [course(chance.normal(200, 60, 120).clip(0), chance.lognormal(2, 1, 120)) for _ in range(5)]
    found = Normal.of(loads)
    assert found is not None
    moments = [recovery_s(found, load, healed_s) for load in loads for healed_s in np.arange(1.0, 8.0, 0.1)]
    assert np.mean([moment is not None and moment < 0.05 for moment in moments]) >= 0.9


def test_no_better_is_asked_than_the_load_of_the_same_seed_did_at_the_same_moment() -> None:
    crowd = slump(from_s=6.5, to_s=9.0, goodput=120, p95_ms=40)
    assert recovery_s(normal(), crowd, healed_s=6.0) == pytest.approx(3.0)
    assert recovery_s(normal(), crowd, healed_s=6.0, beside=crowd) == 0
    assert recovery_s(normal(), crowd, healed_s=6.0, beside=steady()) == pytest.approx(3.0)


def test_what_the_load_of_the_same_seed_did_at_another_moment_excuses_nothing() -> None:
    earlier = slump(from_s=2.0, to_s=4.0, goodput=120, p95_ms=40)
    crowd = slump(from_s=6.5, to_s=9.0, goodput=120, p95_ms=40)
    assert recovery_s(normal(), crowd, healed_s=6.0, beside=earlier) == pytest.approx(3.0)


def test_what_is_much_worse_than_the_load_of_the_same_seed_has_not_recovered() -> None:
    crowd = slump(from_s=6.5, to_s=9.0, goodput=120, p95_ms=40)
    worse = slump(from_s=6.5, to_s=9.0, goodput=120, p95_ms=70)
    assert recovery_s(normal(), worse, healed_s=6.0, beside=crowd) == pytest.approx(3.0)


def test_a_load_of_the_same_seed_that_sold_out_early_is_compared_while_it_lasted() -> None:
    crowd = slump(from_s=6.5, to_s=9.0, goodput=120, p95_ms=40)
    short = course(crowd.window_goodput, crowd.window_p95_ms, lasts_s=7.0)
    assert recovery_s(normal(), crowd, healed_s=6.0, beside=short) == pytest.approx(3.0)


def test_nothing_to_compare_with_is_said() -> None:
    assert Normal.of([]) is None
    assert Normal.of([steady(seconds=2)]) is None
    silent = course(np.zeros(100), np.full(100, np.nan))
    assert Normal.of([silent]) is None


def met(*spans: tuple[float, float]) -> list[Span]:
    return [Span("redis_kill", from_s, to_s, place) for place, (from_s, to_s) in enumerate(spans)]


def test_every_heal_that_leaves_no_fault_on_has_a_recovery_of_its_own() -> None:
    whole = steady(seconds=30)
    slumps = ((whole.windows_s > 2) & (whole.windows_s < 6.5)) | ((whole.windows_s > 14) & (whole.windows_s < 16))
    found = recoveries(normal(), course(np.where(slumps, 20.0, 200.0), whole.window_p95_ms), met((3, 5), (15, 16)))
    assert [each.healed_s for each in found] == [5, 16]
    assert [each.took_s for each in found] == [pytest.approx(1.5), pytest.approx(0)]
    assert [each.watched_s for each in found] == [pytest.approx(7), pytest.approx(11.9)]
    assert [each.last for each in found] == [False, True]


def test_faults_at_once_recover_together() -> None:
    (one,) = recoveries(normal(), steady(seconds=30), met((3, 9), (5, 7)))
    assert one.healed_s == 9
    (touching,) = recoveries(normal(), steady(seconds=30), met((3, 5), (5, 7)))
    assert touching.healed_s == 7


def test_a_recovery_must_be_seen_before_the_next_fault_comes() -> None:
    first, last = recoveries(normal(), steady(seconds=30), met((3, 4), (6, 7)))
    assert (first.took_s, first.watched_s) == (None, 0)
    assert last.took_s == 0
