"""The smallest set of tries, orders and readings that shows a violation, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from flashbench.evidence.documents import StoryDocument, StoryEvent
from reports.checks.history import NEVER, NOBODY, NULL, History, Ints, Positions

MOST_EVENTS = 12  # that are told; what lies in the middle of a longer story is counted


@dataclass(frozen=True, slots=True)
class Story:
    """``tries`` and ``rows`` are positions in the history's tries and ledger; ``facts`` are what the stores said."""

    tries: Positions = field(default_factory=lambda: NOBODY)
    rows: Positions = field(default_factory=lambda: NOBODY)
    facts: tuple[str, ...] = ()

    def document(self, history: History) -> StoryDocument:
        """In time order, with moments in milliseconds since the load was released."""
        chosen = (*_ends(self.tries), *_ends(self.rows))
        left_out = len(self.tries) + len(self.rows) - sum(map(len, chosen))
        tries, rows = np.concatenate(chosen[:2]), np.concatenate(chosen[2:])
        events = [_try(history, int(position)) for position in tries] + [_order(history, int(row)) for row in rows]
        events.sort(key=lambda event: (event.from_ms is None, event.from_ms or 0.0))
        return StoryDocument(
            events=tuple(events), left_out=left_out, facts=self.facts, purchases=self._purchases(history)
        )

    def _purchases(self, history: History) -> int:
        """How many purchases had been sent when the last event of the story was; all of them without such a moment."""
        invoked_ns = history.purchases.invoked_ns
        last_ns = [history.tries.invoked_ns[self.tries]]
        if len(self.rows) and history.ledger is not None:
            purchase = history.ledger.purchase[self.rows]
            last_ns.append(invoked_ns[purchase[purchase >= 0]])
        moments = np.concatenate(last_ns)
        return int((invoked_ns <= moments.max()).sum()) if len(moments) and not self.facts else len(invoked_ns)


def fewest(quantity: Ints, candidates: Positions, limit: int) -> Positions:
    """As few of ``candidates`` as together have more than ``limit``, as positions; all of them if they have not."""
    largest = candidates[np.argsort(-quantity[candidates], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(quantity[largest]), limit, side="right")) + 1
    return np.sort(largest[:enough])


def _ends(positions: Positions) -> tuple[Positions, Positions]:
    half = MOST_EVENTS // 2
    return (positions, NOBODY) if len(positions) <= MOST_EVENTS else (positions[:half], positions[-half:])


def _try(history: History, position: int) -> StoryEvent:
    tries, row = history.tries, history.try_frame.iloc[position]
    answer = str(row["outcome"]).replace("_", " ")
    stated = [f"{name} {value}" for name, value in _stated(tries.remaining[position], tries.seq[position])]
    where = ", in the drain" if tries.in_drain[position] else ""
    returned_ns = int(tries.returned_ns[position])
    return StoryEvent(
        kind="try",
        from_ms=history.since_release_ms(int(tries.invoked_ns[position])),
        to_ms=None if returned_ns == NEVER else history.since_release_ms(returned_ns),
        who=str(row["user_id"]),
        what=f"asks for {row['quantity']} of {row['sku']}, key {str(row['key'])[:8]}{where}: "
        + ", ".join([answer if returned_ns != NEVER else f"{answer}, no answer", *stated]),
        outcome=str(row["outcome"]),
    )


def _order(history: History, position: int) -> StoryEvent:
    assert history.ledger_frame is not None
    row = history.ledger_frame.iloc[position]
    names = ("remaining", "seq", "fence")
    stated = [f"{name} {int(row[name])}" for name in names if not pd.isna(row[name])]
    return StoryEvent(
        kind="order",
        from_ms=_of_the_calendar(history, row.get("created_unix_us")),
        to_ms=None,
        who=str(row["user_id"]),
        what=f"has an order for {row['quantity']} of {row['sku']}, key {str(row['key'])[:8]}"
        + "".join(f", {each}" for each in stated),
    )


def _stated(remaining: int, seq: int) -> list[tuple[str, int]]:
    return [(name, int(value)) for name, value in (("remaining", remaining), ("seq", seq)) if value != NULL]


def _of_the_calendar(history: History, unix_us: Any) -> float | None:
    """When the database says that an order was made, by its own clock."""
    if unix_us is None or pd.isna(unix_us):
        return None
    moments = history.trial.moments
    return history.since_release_ms(int(unix_us) * 1000 - moments.anchor_unix_ns + moments.anchor_monotonic_ns)
