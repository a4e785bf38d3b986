"""The smallest story: of all that clients saw, the fewest operations that no order explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from reports.linearizability.operations import ALWAYS, NEVER, UNSTATED, Kind, Operations, Positions, Violation
from reports.linearizability.witnessed import check_witnessed

Checker: TypeAlias = Callable[[Operations], Violation | None]

MOST_OPERATIONS = 50_000  # of a history that is shrunk; of a longer one the checker's own words must do
MOST_TRIALS = 400
SHOWN_AFTER = 3


def smallest(history: Operations, violation: Violation, checker: Checker) -> tuple[Positions, Positions]:
    """Positions of operations none of which can be left out, and of later sales that show what was left.

    To leave an operation out is to know less: a refusal or read is forgotten, a sale may have happened or not. What is
    impossible knowing less is impossible knowing more, so the core that remains proves the violation by itself.
    """
    core = np.array(sorted(set(violation.operations)), np.intp)
    if len(history) <= MOST_OPERATIONS:
        wrong = _tester(history, checker)
        core = _fewest(core if wrong(core) else np.arange(len(history)), wrong)
    return core, _after_the_refusal(history, core)


def _tester(history: Operations, checker: Checker) -> Callable[[Positions], bool]:
    def wrong(kept: Positions) -> bool:
        return checker(_knowing_only(history, kept, witnessed=checker is check_witnessed)) is not None

    return wrong


def _knowing_only(history: Operations, kept: Positions, *, witnessed: bool) -> Operations:
    """The history of one who saw only ``kept``, and knows of all other purchases only that they were sent."""
    known = np.zeros(len(history), bool)
    known[kept] = True
    stays = np.flatnonzero(known | (history.kind == Kind.SALE) | (history.kind == Kind.UNKNOWN))
    less, known = history.take(stays), known[stays]
    vague = ~known & (less.kind == Kind.SALE)
    if witnessed:  # the order stands, the windows are forgotten
        return Operations(
            less.initial,
            less.kind,
            np.where(vague, ALWAYS, less.invoked),
            np.where(vague, NEVER, less.returned),
            less.quantity,
            np.where(vague, UNSTATED, less.remaining),
            less.seq,
        )
    return Operations(
        less.initial,
        np.where(vague, np.int8(Kind.UNKNOWN), less.kind),
        less.invoked,
        less.returned,
        less.quantity,
        np.where(vague, UNSTATED, less.remaining),
        less.seq,
    )


def _fewest(core: Positions, wrong: Callable[[Positions], bool]) -> Positions:
    """Delta debugging (Zeller and Hildebrandt, 2002): leave out ever smaller parts for as long as it stays wrong."""
    parts, trials = 2, 0
    while len(core) > 1 and trials < MOST_TRIALS:
        for part in np.array_split(np.arange(len(core)), min(parts, len(core))):
            trials += 1
            rest = np.delete(core, part)
            if wrong(rest):
                core, parts = rest, max(2, parts - 1)
                break
        else:
            if parts >= len(core):
                break
            parts = min(2 * parts, len(core))
    return core


def _after_the_refusal(history: Operations, core: Positions) -> Positions:
    """The first sales asked for after the last refusal of the core was answered: they got what it denied."""
    refusals = core[history.kind[core] == Kind.REFUSAL]
    if not len(refusals):
        return np.empty(0, np.intp)
    later = np.flatnonzero((history.kind == Kind.SALE) & (history.invoked > history.returned[refusals].max()))
    later = np.setdiff1d(later, core)
    return later[np.argsort(history.invoked[later], kind="stable")][:SHOWN_AFTER]
