"""Retries resolve what is unknown; without bounds they would hammer a target that is down."""

import pytest

from flashbench.target.protocol import Answer
from flashbench.trial.retries import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_before_retry
from flashbench.vocabulary import Outcome


@pytest.mark.parametrize("outcome", [Outcome.SOLD, Outcome.SOLD_OUT, Outcome.LIMITED])
def test_a_decision_is_final(outcome: Outcome) -> None:
    assert pause_before_retry(Answer(outcome, 409, retry_after_s=1.0), 1, at_most=5) is None


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_what_is_undecided_is_tried_again_but_not_for_ever(outcome: Outcome) -> None:
    pauses = [pause_before_retry(Answer(outcome), tries, at_most=5) for tries in range(1, 7)]
    assert pauses[4:] == [None, None]
    assert pauses[:4] == sorted(pause for pause in pauses[:4] if pause is not None)
    assert pauses[0] == FIRST_PAUSE_S


@pytest.mark.parametrize(("stated_s", "obeyed_s"), [(0.0, FIRST_PAUSE_S), (0.3, 0.3), (3600.0, LONGEST_PAUSE_S)])
def test_retry_after_is_obeyed_within_reason(stated_s: float, obeyed_s: float) -> None:
    assert pause_before_retry(Answer(Outcome.UNKNOWN, 503, retry_after_s=stated_s), 1, at_most=5) == obeyed_s


def test_pauses_stop_growing() -> None:
    assert pause_before_retry(Answer(Outcome.UNKNOWN), 100, at_most=200) == LONGEST_PAUSE_S
