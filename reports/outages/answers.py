"""What became of purchases whose outcome nobody was told, and what was told wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flashbench.evidence.documents import FindingDocument
from reports.checks.history import UNKNOWN, History

# Whoever was told something that was not so: sold, refused though it was bought, two answers to one question,
# sold out while there were units, over the limit while within it.
_WRONG = ("I2", "I3", "I4", "I8", "I9")
_IN_THE_STORES = ("I5", "I7", "I10")  # negative stock, sums that don't come out, stores that disagree


@dataclass(frozen=True, slots=True)
class Unknowns:
    """Purchases of the load that ended ``unknown``, by what the ledger says of them in the end.

    ``unresolved``: nothing can be said, since the ledger was not read whole, and at rest.
    """

    bought: int
    not_bought: int
    unresolved: int

    @property
    def count(self) -> int:
        return self.bought + self.not_bought + self.unresolved


def unknowns(history: History) -> Unknowns:
    """How the unknown purchases of the load were resolved."""
    purchases = history.purchases
    unknown = np.flatnonzero(~purchases.in_drain & (purchases.outcome == UNKNOWN))
    if history.ledger is None or not history.ledger_whole or not history.at_rest:
        return Unknowns(0, 0, len(unknown))
    bought = int(np.isin(unknown, history.ledger.purchase).sum())
    return Unknowns(bought, len(unknown) - bought, 0)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the checks found of a trial, in numbers; None where they could not decide.

    ``wrong``: answers that were not so. ``lost``: sold, by the answer, and in no ledger. ``leaked``: units that nobody
    can buy any more. ``oversold``: units beyond what there was. ``stores``: what was wrong in them in the end.
    """

    oversold: int | None
    wrong: int | None
    lost: int | None
    leaked: int | None
    stores: int | None

    @classmethod
    def of(cls, findings: Sequence[FindingDocument]) -> Answers:
        """Of a verdict's findings."""
        return cls(
            oversold=_offending(findings, "I1"),
            wrong=_together(findings, _WRONG),
            lost=_lost(findings),
            leaked=_offending(findings, "I6"),
            stores=_together(findings, _IN_THE_STORES),
        )


def _together(findings: Sequence[FindingDocument], invariants: Sequence[str]) -> int | None:
    """What breaks any of these; None if nothing does, and one of them could not be decided."""
    counts = [_offending(findings, invariant) for invariant in invariants]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) or any(known) else None


def _lost(findings: Sequence[FindingDocument]) -> int | None:
    """Those that are in no ledger; what I2 finds there otherwise than it was told is a wrong answer."""
    found = _offending(findings, "I2")
    numbers = next((each.numbers for each in findings if each.invariant == "I2"), {})
    return int(numbers.get("lost") or 0) if found and "lost" in numbers else found


def _offending(findings: Sequence[FindingDocument], invariant: str) -> int | None:
    for finding in findings:
        if finding.invariant == invariant and finding.status != "undecided":
            return max(1, finding.offending) if finding.status == "broken" else 0
    return None
