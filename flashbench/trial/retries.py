"""When a try that decided nothing is sent again with the same key. Pure."""

from __future__ import annotations

from flashbench.target.protocol import Answer
from flashbench.vocabulary import Outcome

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


def pause_before_retry(answer: Answer, tries: int, *, at_most: int, repeatable: bool = True) -> float | None:
    """Seconds to wait before the next try of the same attempt; None if there is to be none.

    Unless it is ``repeatable``, only a try that provably had no effect is sent again.
    ``tries`` have been sent so far. A Retry-After is obeyed up to ``LONGEST_PAUSE_S``; without one, the pause doubles.
    """
    if answer.outcome.decided or tries >= at_most:
        return None
    if answer.outcome is Outcome.UNKNOWN and not repeatable:
        return None
    if answer.retry_after_s is not None:
        return min(max(answer.retry_after_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
    return float(min(FIRST_PAUSE_S * 2 ** max(0, tries - 1), LONGEST_PAUSE_S))
