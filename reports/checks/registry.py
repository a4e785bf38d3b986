"""Finds the checks by their files, runs them, and makes their findings fit to be kept and shown."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from flashbench.evidence.documents import FindingDocument
from reports.checks.finding import Finding
from reports.checks.history import History, Positions

SHOWN = 5  # offenders of each kind that a finding shows; it counts them all

_FILE = re.compile(r"i(\d\d)_\w+")


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant and the function that checks it."""

    invariant: str
    title: str
    check: Callable[[History], Finding]

    def document(self, history: History) -> FindingDocument:
        """What the check finds, as it is kept: a handful of offenders with all their fields."""
        finding = self.check(history)
        return FindingDocument(
            invariant=self.invariant,
            title=self.title,
            status=finding.status.value,
            sentence=finding.sentence,
            numbers=dict(finding.numbers),
            tries=_shown_tries(history, finding.tries[:SHOWN]),
            rows=_shown_rows(history, finding.rows[:SHOWN]),
            offending=finding.offending,
            story=finding.story.document(history) if finding.story is not None else None,
        )


@cache
def checks() -> tuple[Check, ...]:
    """Every check, in the order of the invariants' numbers."""
    found = []
    for path in sorted(Path(__file__).parent.glob("i*.py")):
        match = _FILE.fullmatch(path.stem)
        if match:
            module = importlib.import_module(f"{__package__}.{path.stem}")
            found.append(Check(f"I{int(match[1])}", module.TITLE, module.check))
    return tuple(found)


def _shown_tries(history: History, positions: Positions) -> tuple[dict[str, Any], ...]:
    """Tries as a person reads them: times in milliseconds since the load was released."""
    if not len(positions):  # as nearly always, and an empty table takes as long to say so as a full one
        return ()
    rows = history.try_frame.iloc[positions].to_dict("records")
    return tuple(_shown_try({str(name): value for name, value in row.items()}, history) for row in rows)


def _shown_try(row: dict[str, Any], history: History) -> dict[str, Any]:
    return {
        "worker": str(row["worker"]),
        "attempt": int(row["attempt"]),
        "try": int(row["try_number"]),
        "user": row["user_id"],
        "sku": str(row["sku"]),
        "quantity": int(row["quantity"]),
        "key": row["key"],
        "invoked_ms": _since(row["invoked_ns"], history),
        "returned_ms": _since(row["returned_ns"], history),
        "outcome": str(row["outcome"]),
        "status": int(row["status"]),
        "order_id": _present(row["order_id"]),
        "remaining": _present(row["remaining"]),
        "seq": _present(row["seq"]),
        "replayed": bool(row["replayed"]),
    }


def _shown_rows(history: History, positions: Positions) -> tuple[dict[str, Any], ...]:
    if history.ledger_frame is None or not len(positions):
        return ()
    columns = ["order_id", "sku", "quantity", "user_id", "key", "remaining", "seq", "fence"]
    rows = history.ledger_frame[columns].iloc[positions].to_dict("records")
    return tuple({str(name): _present(value) for name, value in row.items()} for row in rows)


def _since(stamp_ns: Any, history: History) -> float | None:
    return None if pd.isna(stamp_ns) else history.since_release_ms(int(stamp_ns))


def _present(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else int(value)
