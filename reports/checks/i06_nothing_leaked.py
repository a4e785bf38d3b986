"""I6: no unit is out of reach: whoever is refused at the end is refused because there is nothing left."""

from __future__ import annotations

import numpy as np

from reports.checks.finding import Finding
from reports.checks.history import FAILED, NEVER, NOBODY, SOLD_OUT, UNKNOWN, History, Ints, Positions
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "nothing leaked"


def check(history: History) -> Finding:
    """Per SKU: what remains after the drain is less than the quantity that the drain was refused.

    Remaining is what the ledger leaves of the initial stock, and what the stores say. A refusal counts only if no
    purchase that came to nothing was still in flight when it was asked for, since that one may have held the units.
    """
    if history.ordered is None:
        return Finding.undecided("there is no ledger to tell what remains")
    refused, refusals = _refused_quantity(history)
    remaining = _remaining(history)
    never = np.flatnonzero(refused == NEVER)
    leaked = np.flatnonzero(remaining >= refused)
    numbers = {
        "skus": len(history.skus),
        "refused_in_drain": len(history.skus) - len(never),
        "remaining": int(remaining.sum()),
        "leaked_units": int(remaining[leaked].sum()),
        "leaking_skus": len(leaked),
    }
    if not history.whole or not history.at_rest:
        why = "the evidence is incomplete" if not history.whole else "the stores did not come to rest"
        return Finding.undecided(f"{why}, so units that seem to be left prove nothing", numbers)
    if len(leaked):
        sku = int(leaked[0])
        return Finding.broken(
            f"{remaining[sku]} units of {history.skus[sku]} remain, but nobody can buy {refused[sku]}"
            + (f"; the same with {counted(len(leaked) - 1, 'more SKU')}" if len(leaked) > 1 else ""),
            numbers,
            tries=refusals[np.isin(history.tries.sku[refusals], leaked)],
            offending=numbers["leaked_units"],
            story=Story(
                tries=refusals[history.tries.sku[refusals] == sku][-1:],
                facts=(f"{remaining[sku]} units of {history.skus[sku]} remained when all had come to rest",),
            ),
        )
    if len(never):
        names = ", ".join(history.skus[sku] for sku in never[:3])
        return Finding.undecided(f"the drain was not refused for {counted(len(never), 'SKU')} ({names})", numbers)
    return Finding.held(f"{numbers['remaining']} units remain, too few for what the drain was refused", numbers)


def _refused_quantity(history: History) -> tuple[Ints, Positions]:
    """Per SKU the smallest quantity that the drain was refused (NEVER if it was not), and the refusals."""
    tries = history.tries
    refused = np.full(len(history.skus), NEVER)
    if not tries.in_drain.any():
        return refused, NOBODY
    in_vain = np.flatnonzero(tries.in_drain & ((tries.outcome == FAILED) | (tries.outcome == UNKNOWN)))
    last_in_vain = np.full(len(history.skus), -1)
    np.maximum.at(last_in_vain, tries.sku[in_vain], _ended_ns(history, in_vain))
    candidates = np.flatnonzero(tries.in_drain & (tries.outcome == SOLD_OUT))
    refusals = candidates[tries.invoked_ns[candidates] > last_in_vain[tries.sku[candidates]]]
    np.minimum.at(refused, tries.sku[refusals], tries.quantity[refusals])
    return refused, refusals


def _ended_ns(history: History, which: Positions) -> Ints:
    """When tries were over: at their return; without one when the next try of the key was sent, else with the drain."""
    tries = history.tries
    ended_ns = tries.returned_ns[which].copy()
    drain_ended_ns = history.trial.moments.drain_ended_ns
    for position in np.flatnonzero(ended_ns == NEVER):
        this = which[position]
        later = tries.invoked_ns[(tries.key == tries.key[this]) & (tries.invoked_ns > tries.invoked_ns[this])]
        if len(later):
            ended_ns[position] = later.min()
        elif drain_ended_ns is not None:
            ended_ns[position] = drain_ended_ns
    return ended_ns


def _remaining(history: History) -> Ints:
    """Per SKU the most that is left by the ledger or by any store."""
    remaining = history.initial - (history.ordered if history.ordered is not None else 0)
    for position, sku in enumerate(history.skus):
        reading = history.final.get(sku)
        if reading is not None:
            stated = (remaining[position], reading.postgres_remaining, reading.redis_remaining)
            remaining[position] = max(value for value in stated if value is not None)
    return remaining
