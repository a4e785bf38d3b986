"""Writing what was read of the stores and of the target into the trial's folder, as it will be sealed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from flashbench.evidence.documents import WorkerClosing
from flashbench.evidence.whole import publish, publish_text
from flashbench.target.protocol import LedgerRow

LEDGER_ROWS = "ledger.ndjson"  # read by the harness itself
STATED_ROWS = "ledger-stated.ndjson"  # as the target states it
CLOSED = ".closed.json"


def write_ledger(path: Path, rows: Iterable[LedgerRow]) -> int:
    """One JSON object a line; the number of rows. Whole or not at all: half a ledger would accuse of what it lacks."""
    return publish(path, lambda draft: _write_rows(draft, rows))


def _write_rows(draft: Path, rows: Iterable[LedgerRow]) -> int:
    count = 0
    with draft.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(asdict(row), separators=(",", ":")) + "\n")
            count += 1
    return count


def closing_path(folder: Path, worker: str) -> Path:
    """Where a load worker leaves its last word."""
    return folder / f"worker-{worker}{CLOSED}"


def write_closing(folder: Path, closing: WorkerClosing) -> None:
    """Appears whole or not at all: who waits for the file may read it at once."""
    publish_text(closing_path(folder, closing.worker), closing.to_json())


def read_closings(folder: Path) -> tuple[WorkerClosing, ...]:
    """Every last word in the folder, by worker; one that can't be read counts as missing."""
    closings = []
    for path in sorted(folder.glob(f"worker-*{CLOSED}")):
        try:
            closings.append(WorkerClosing.from_json(path.read_bytes()))
        except ValueError:
            continue
    return tuple(closings)
