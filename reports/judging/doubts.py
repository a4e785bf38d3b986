"""Why a trial's evidence may not be enough for a PASS."""

from __future__ import annotations

import numpy as np

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import lasting_faults
from reports.checks.history import UNKNOWN, History
from reports.judging.contention import most_in_flight
from reports.judging.stated import differences


def doubts(bundle: Bundle, history: History) -> list[str]:
    """Each reason for UNPROVEN as one sentence, those about the evidence itself first."""
    found = [*bundle.problems, *bundle.trial.problems, *_unread(bundle)]
    if len(history.mixed_up):
        found.append(f"{len(history.mixed_up)} tries share their key with another purchase")
    found += differences(bundle)
    found += _unresolved(history)
    found += _unexhausted(history)
    if most_in_flight(history) < 2:
        found.append(
            "no two purchases of the load were in flight at once while stock lasted: nothing was put to the test"
        )
    found += _faults(bundle)
    return list(dict.fromkeys(found))


def _unread(bundle: Bundle) -> list[str]:
    trial, found = bundle.trial, []
    if trial.moments.collected_ns is None:
        found.append("the trial was not carried to its end: ledger and stores were not read")
    elif trial.ledger_source == "none":
        found.append("no ledger was read, so nothing shows whether sales were lost or invented")
    elif bundle.ledger is None and not any("ledger.parquet" in problem for problem in bundle.problems):
        found.append("ledger.parquet is missing")
    if bundle.stock is None and not any("stock.json" in problem for problem in bundle.problems):
        found.append("stock.json is missing")
    rest = trial.quiescence
    if rest is None:
        found.append("nobody waited for the system to come to rest before it was read")
    elif not rest.reached:
        found.append(
            f"the system did not come to rest within {rest.waited_s:.1f} s: {rest.reason or 'no reason given'}"
        )
    return found


def _unresolved(history: History) -> list[str]:
    """An unknown is resolved by the ledger, read whole and at rest: its key is in there or it is not."""
    unknown = int((history.purchases.outcome == UNKNOWN).sum())
    if not unknown or (history.ledger_whole and history.at_rest):
        return []
    return [f"{unknown} purchases with unknown outcome could not be resolved by a whole ledger read at rest"]


def _unexhausted(history: History) -> list[str]:
    """A sale with stock left never came to the point at which it could have oversold. The drain counts."""
    tries = history.tries
    if history.ordered is None or not len(tries):
        return ["nothing shows that the stock was exhausted"]
    wanted = np.full(len(history.skus), np.iinfo(np.int64).max)
    np.minimum.at(wanted, tries.sku, tries.quantity)
    left = history.initial - history.ordered
    unsold = np.flatnonzero(left >= wanted)
    if not len(unsold):
        return []
    first = int(unsold[0])
    return [
        f"the stock was not exhausted: {left[first]} units of {history.skus[first]} are left"
        + (f", and {len(unsold) - 1} more SKUs have stock" if len(unsold) > 1 else "")
    ]


def _faults(bundle: Bundle) -> list[str]:
    """A planned fault must show its bite while the load is on, and be gone before the drain."""
    trial, moments = bundle.trial, bundle.trial.moments
    began_ns, ended_ns = moments.released_ns, moments.load_ended_ns
    names = [planned.fault for planned in trial.planned_faults] or (trial.fault.split("+") if trial.fault else [])
    found = []
    for place, name in enumerate(names):
        which = f"the planned fault {name}" + (f" (number {place + 1})" if place else "")
        bites_ns = [event.at_ns for event in bundle.faults if (event.place, event.step) == (place, "bit")]
        if not bites_ns:
            found.append(f"{which} did not bite")
        elif began_ns is None or ended_ns is None or not any(began_ns <= at_ns <= ended_ns for at_ns in bites_ns):
            found.append(f"{which} did not bite while the load was on")
    return found + [f"the fault {fault} was not healed before the drain" for fault in lasting_faults(bundle.faults)]
