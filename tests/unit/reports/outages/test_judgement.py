"""If these fail, a strategy seems to keep a promise that it breaks, or to break one that was never put to the test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flashbench.evidence.documents import FindingDocument
from reports.outages.answers import Answers, Unknowns
from reports.outages.faults import Hurts
from reports.outages.judgement import Judgement, Status, judged
from reports.outages.outage import OutageFigures
from reports.outages.recovery import Normal
from reports.outages.spans import Span

REDIS = Span("redis_kill", 3, 5, words="Redis killed", hurts=Hurts.REDIS)
CRASH = Span("postgres_stop", 3, 5, words="Postgres stopped", hurts=Hurts.POSTGRES)
WORKER = Span("worker_kill", 3, 5, words="App worker killed", hurts=Hurts.APP)

FINE = OutageFigures(
    spans=(REDIS,),
    bitten=True,
    in_time=True,
    offered_per_s=100,
    availability=1,
    availability_failing=0.999,
    worst_second=1,
    detected_s=0.1,
    first_answer_s=0.1,
    floor_per_s=90,
    slowest_ms=300,
    slowest_request_s=0.3,
    errors={},
    recoveries=(),
    recovered_s=0.4,
    why_not="",
    unrecovered_s=None,
    counter_right_s=0.1,
    peak_statements_per_s=500,
    peak_database_reads_per_s=20,
    oldest_transaction_s=0.1,
    keeps_locks=True,
    longest_lock_s=0.2,
    stale_locks=0,
    crashes=0,
    unknowns=Unknowns(1, 1, 0),
    answers=Answers(oversold=0, wrong=0, lost=0, leaked=0, stores=0),
)


def calm(trials: int = 10, late_share: float = 0.0) -> Normal:
    """Loads without a fault."""
    return Normal(least_goodput=80, most_p95_ms=50, trials=trials, late_share=late_share)


def found(*changes: dict[str, Any], late_share: float = 0.0) -> dict[str, Judgement]:
    """A trial a set of changes, each named by its number."""
    trials = [(f"t{number}", replace(FINE, **each)) for number, each in enumerate(changes)]
    return {each.target.short: each for each in judged(trials, normal=calm(late_share=late_share))}


def test_a_trial_that_keeps_everything_meets_all_that_is_asked_while_redis_fails() -> None:
    judgements = found({}, {})
    assert {each.status for each in judgements.values()} == {Status.MET}
    assert set(judgements) >= {"availability", "slow request", "recovery", "lost", "leaked", "locks"}
    assert judgements["recovery"].sentence == "recovery: 0.4 s at worst, 3 s allowed"


@pytest.mark.parametrize(
    ("changes", "short", "sentence"),
    [
        (
            {"availability_failing": 0.978},
            "availability",
            "availability while failing: 97.80 % in t1, 1.20 points less than the 99 % asked for;"
            " missed in 1 of 2 trials",
        ),
        (
            {"availability_failing": 0.989_999_9},
            "availability",
            "availability while failing: 98.99 % in t1, 0.01 points less than the 99 % asked for;"
            " missed in 1 of 2 trials",
        ),
        (
            {"slowest_request_s": 2.31},
            "slow request",
            "slowest request: 2.31 s in t1, 0.31 s more than the 2 s allowed; missed in 1 of 2 trials",
        ),
        (
            {"recovered_s": 4.1},
            "recovery",
            "recovery: 4.1 s in t1, 1.10 s more than the 3 s allowed; missed in 1 of 2 trials",
        ),
        (
            {"recovered_s": None, "why_not": "not within the load", "unrecovered_s": 4.5},
            "recovery",
            "recovery: more than 4.5 s in t1, 1.50 s more than the 3 s allowed; missed in 1 of 2 trials",
        ),
        (
            {"answers": Answers(oversold=0, wrong=3, lost=0, leaked=0, stores=0)},
            "wrong answers",
            "wrong answers: 3 in t1, where none is allowed; missed in 1 of 2 trials",
        ),
        (
            {"stale_locks": 2},
            "locks",
            "locks past their lease: 2 in t1, where none is allowed; missed in 1 of 2 trials",
        ),
    ],
)
def test_a_miss_in_one_trial_is_told_with_by_how_much(changes: dict[str, Any], short: str, sentence: str) -> None:
    judgements = found({}, changes)
    missed = [each for each in judgements.values() if each.status is Status.MISSED]
    assert [each.target.short for each in missed] == [short]
    assert missed[0].sentence == sentence
    assert missed[0].trial == "t1"


def test_what_an_earlier_fault_did_is_missed_though_the_last_met_no_stock() -> None:
    judgements = found({"in_time": False, "availability_failing": 0.5})
    assert judgements["availability"].status is Status.MISSED


@pytest.mark.parametrize(
    ("changes", "short", "why"),
    [
        ({"in_time": False}, "availability", "the stock was gone before the last fault came"),
        ({"recovered_s": None, "why_not": "no fault-free trial"}, "recovery", "no fault-free trial"),
        ({"recovered_s": None, "unrecovered_s": 2.0}, "recovery", "for too short a time after the heal (2.0 s)"),
        ({"answers": Answers(None, None, None, None, None)}, "lost", "could not decide"),
    ],
)
def test_what_could_not_be_seen_is_neither_met_nor_missed(changes: dict[str, Any], short: str, why: str) -> None:
    for judgements in (found(changes), found({}, changes)):
        assert judgements[short].status is Status.NOT_SHOWN
        assert why in judgements[short].sentence


@pytest.mark.parametrize("short", ["availability", "slow request", "recovery", "lost", "leaked", "locks"])
def test_a_fault_that_did_not_bite_shows_nothing(short: str) -> None:
    for judgements in (found({"bitten": False}), found({}, {"bitten": False})):
        assert judgements[short].status is Status.NOT_SHOWN
        assert "a fault that was planned did not bite" in judgements[short].sentence


def test_a_fault_that_did_not_bite_excuses_nothing() -> None:
    assert found({}, {"bitten": False, "stale_locks": 2})["locks"].status is Status.MISSED


def test_a_trial_without_figures_is_judged_by_what_its_checks_found() -> None:
    others = [("invalid", Answers(oversold=0, wrong=0, lost=2, leaked=0, stores=0))]
    judgements = {each.target.short: each for each in judged([("t0", FINE)], others)}
    assert judgements["lost"].sentence == "acknowledged orders lost: 2 in invalid, where none is allowed" + (
        "; missed in 1 of 2 trials"
    )
    assert judgements["leaked"].status is Status.MET
    assert judgements["availability"].status is Status.NOT_SHOWN
    assert "not shown in 1 of 2 trials, since a trial has no figures" in judgements["availability"].sentence


def test_no_target_is_met_by_what_is_left_of_a_case() -> None:
    judgements = judged([("t0", FINE)], missing=2)
    assert {each.status for each in judgements} == {Status.NOT_SHOWN}
    assert all("not shown in 2 of 3 trials, since a trial is missing" in each.sentence for each in judgements)


def test_an_order_that_is_there_and_was_told_otherwise_is_a_wrong_answer_and_not_lost() -> None:
    finding = FindingDocument(
        invariant="I2", title="", status="broken", sentence="", numbers={"lost": 0, "different": 2}, offending=2
    )
    answers = Answers.of([finding])
    assert (answers.lost, answers.wrong) == (0, 2)


UNSEEN = {"recovered_s": None, "why_not": "not within the load", "unrecovered_s": 2.4}
LATE = {"recovered_s": 3.6}
TOO_LATE = {"recovered_s": 4.1}
HARDLY = {"recovered_s": None, "why_not": "not within the load", "unrecovered_s": 3.1}
NEVER = {"recovered_s": None, "why_not": "not within the load", "unrecovered_s": 4.1}


@pytest.mark.parametrize("unlike", [UNSEEN, LATE, HARDLY])
def test_one_trial_of_ten_may_look_otherwise_as_loads_without_a_fault_do(unlike: dict[str, Any]) -> None:
    recovery = found(*[{}] * 9, unlike, late_share=0.01)["recovery"]
    assert (recovery.status, recovery.worst) == (Status.MET, 0.4)
    when = " (3.6 s in t9)" if unlike is LATE else ""
    assert recovery.sentence == (
        f"recovery: 0.4 s at worst, 3 s allowed; not seen in time in 1 of 10 trials{when}, which is no more than"
        " chance: after 1.0 % of the moments of loads without a fault it is not seen in time either"
    )


@pytest.mark.parametrize(
    ("changes", "late_share", "status"),
    [
        ([{}] * 9 + [UNSEEN], 0.0, Status.NOT_SHOWN),
        ([{}] * 9 + [LATE], 0.0, Status.MISSED),
        ([{}] * 9 + [HARDLY], 0.002, Status.MISSED),
        ([{}] * 8 + [UNSEEN] * 2, 0.01, Status.NOT_SHOWN),
        ([{}] * 8 + [LATE, UNSEEN], 0.01, Status.MISSED),
        ([LATE], 0.01, Status.MISSED),
        ([LATE], 0.1, Status.MISSED),
        ([{}] * 9 + [TOO_LATE], 0.1, Status.MISSED),
        ([{}] * 9 + [NEVER], 0.1, Status.MISSED),
    ],
)
def test_more_than_loads_without_a_fault_explain_is_no_chance(
    changes: list[dict[str, Any]], late_share: float, status: Status
) -> None:
    assert found(*changes, late_share=late_share)["recovery"].status is status


@pytest.mark.parametrize(
    ("quiet", "shown"), [(3, "3 trials without a fault show"), (1, "one trial without a fault shows")]
)
def test_a_late_recovery_is_no_miss_by_the_limits_of_too_few_loads_without_a_fault(quiet: int, shown: str) -> None:
    def recovery(*changes: dict[str, Any]) -> Judgement:
        trials = [(f"t{number}", replace(FINE, **each)) for number, each in enumerate(changes)]
        return next(each for each in judged(trials, normal=calm(quiet)) if each.target.short == "recovery")

    late = recovery({}, LATE)
    assert late.status is Status.NOT_SHOWN
    assert late.sentence == (
        f"recovery: not shown in 1 of 2 trials, since it was not seen in time, by what {shown}: 10 are asked for"
    )
    assert recovery({}).status is Status.MET
    assert recovery(LATE, TOO_LATE).status is Status.MISSED


def test_a_late_recovery_is_no_miss_while_so_many_trials_are_missing_that_it_may_be_chance() -> None:
    few = [("t0", FINE), ("t1", replace(FINE, recovered_s=3.6))]
    (recovery,) = (
        each for each in judged(few, missing=8, normal=calm(late_share=0.01)) if each.target.short == "recovery"
    )
    assert recovery.status is Status.NOT_SHOWN
    assert recovery.sentence.startswith(
        "recovery: not shown in 8 of 10 trials, since a trial is missing; not seen in time"
    )
    (recovery,) = (
        each for each in judged(few, missing=1, normal=calm(late_share=0.01)) if each.target.short == "recovery"
    )
    assert recovery.status is Status.MISSED


def test_chance_excuses_nothing_but_a_recovery() -> None:
    hardly_watched = {**UNSEEN, "unrecovered_s": 0.9}
    for changes in ({"in_time": False}, {"recovered_s": None, "why_not": "no fault-free trial"}, hardly_watched):
        assert found(*[{}] * 9, changes, late_share=0.01)["recovery"].status is Status.NOT_SHOWN
    for short, worse in (
        ("slow request", {"slowest_request_s": 2.31}),
        ("availability", {"availability_failing": 0.978}),
        ("locks", {"stale_locks": 1}),
    ):
        assert found(*[{}] * 9, worse, late_share=0.01)[short].status is Status.MISSED


def test_availability_is_not_asked_of_what_can_do_without_neither_postgres_nor_its_workers() -> None:
    bad = {"availability_failing": 0.5, "slowest_request_s": 9.0, "recovered_s": 9.0}
    for spans in ((CRASH,), (WORKER,), (REDIS, WORKER)):
        judgements = found({"spans": spans, **bad})
        assert not {"availability", "slow request", "recovery"} & set(judgements)
        assert {"lost", "leaked", "unresolved", "wrong answers"} <= set(judgements)


def test_that_no_order_is_lost_takes_twenty_crashes_to_show() -> None:
    crashed = {"spans": (CRASH,), "crashes": 1}
    few = found(*[crashed] * 19)["lost"]
    assert few.status is Status.NOT_SHOWN
    assert few.sentence == (
        "acknowledged orders lost: none in 19 crashes of Postgres while stock lasted; 20 are asked for"
    )
    after_the_sale = found(*[{**crashed, "crashes": 0}] * 20)["lost"]
    assert after_the_sale.status is Status.NOT_SHOWN
    enough = found(*[crashed] * 20)["lost"]
    assert enough.status is Status.MET
    assert "20 crashes" in enough.sentence
    lost = found(crashed, {**crashed, "answers": Answers(oversold=0, wrong=1, lost=1, leaked=0, stores=0)})["lost"]
    assert lost.status is Status.MISSED


def test_locks_are_not_asked_of_a_strategy_that_keeps_none() -> None:
    assert "locks" not in found({"stale_locks": None, "keeps_locks": False})
    for unwatched in ([{"stale_locks": None, "keeps_locks": None}], [{}, {"stale_locks": None, "keeps_locks": None}]):
        assert found(*unwatched)["locks"].status is Status.NOT_SHOWN


def test_without_a_trial_nothing_is_judged() -> None:
    assert judged([]) == ()


def finding(invariant: str, status: Any, offending: int = 0) -> FindingDocument:
    return FindingDocument(invariant=invariant, title="t", status=status, sentence="s", offending=offending)


def test_wrong_answers_are_counted_where_the_checks_could_decide() -> None:
    held = [finding(f"I{number}", "held") for number in range(1, 13)]

    def but(*others: FindingDocument) -> list[FindingDocument]:
        named = {each.invariant: each for each in (*held, *others)}
        return list(named.values())

    assert Answers.of(held) == Answers(oversold=0, wrong=0, lost=0, leaked=0, stores=0)
    assert Answers.of(but(finding("I2", "broken", 4))) == Answers(oversold=0, wrong=4, lost=4, leaked=0, stores=0)
    assert Answers.of(but(finding("I1", "broken", 3))) == Answers(oversold=3, wrong=0, lost=0, leaked=0, stores=0)
    assert Answers.of(but(finding("I10", "broken", 2), finding("I7", "broken", 1))).stores == 3
    assert Answers.of(but(finding("I6", "broken", 1))) == Answers(oversold=0, wrong=0, lost=0, leaked=1, stores=0)
    assert Answers.of(but(finding("I8", "undecided"))).wrong is None
    assert Answers.of([finding("I2", "broken"), finding("I8", "undecided")]).wrong == 1
    assert Answers.of([]) == Answers(None, None, None, None, None)
