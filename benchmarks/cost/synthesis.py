"""An honest trial of any size, through the real recorder: ``python -m benchmarks.cost.synthesis FOLDER TRIES``."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from flashbench.evidence.documents import (
    DRAIN_WORKER,
    STOCK,
    TRIAL,
    Moments,
    Quiescence,
    SaleItem,
    SaleSpec,
    StockDocument,
    StockSnapshot,
    StoreReading,
    TrialDocument,
    WorkerClosing,
)
from flashbench.evidence.recorder import Recorder
from flashbench.evidence.records import TryRecord
from flashbench.load.shopping import idempotency_key
from flashbench.target.protocol import LedgerRow
from flashbench.trial.collect import LEDGER_ROWS, STATED_ROWS, write_closing, write_ledger
from flashbench.vocabulary import Outcome

SOLD_SHARE = 0.2
WORKERS = 2
BETWEEN_TRIES_NS = 20_000
DRAIN_TRIES = 32
SALE_ID = str(UUID(int=1))
SKU = "sku-1"


def synthesize(folder: Path, tries: int) -> None:
    """Leave what a trial leaves before it is sealed: ``tries`` tries of two workers, one in five of them a sale."""
    stock = max(1, round(tries * SOLD_SHARE))
    start_ns = time.monotonic_ns() - tries * BETWEEN_TRIES_NS - 20 * 10**9
    end_ns = start_ns + tries * BETWEEN_TRIES_NS + 10**9
    recorders = [Recorder(folder, str(worker)) for worker in range(WORKERS)]
    for record, worker in _load(tries, stock, start_ns):
        recorders[worker].record_try(record)
    closings = tuple(_close(folder, str(worker), recorder) for worker, recorder in enumerate(recorders))
    drain = Recorder(folder, DRAIN_WORKER)
    for number in range(DRAIN_TRIES):
        sent_ns = end_ns + 10**6 * number
        drain.record_try(_try(number, WORKERS, 10**9 + number, sent_ns, sent_ns + 5 * 10**6, Outcome.SOLD_OUT))
    _close(folder, DRAIN_WORKER, drain)
    for name in (LEDGER_ROWS, STATED_ROWS):
        write_ledger(folder / name, _orders(tries, stock))
    reading = StoreReading(sku=SKU, initial=stock, sold=stock, postgres_remaining=0)
    sources = (("stores", end_ns + 5 * 10**9), ("target", end_ns + 6 * 10**9))
    snapshots = tuple(StockSnapshot(at_ns=at_ns, source=source, items=(reading,)) for source, at_ns in sources)
    (folder / STOCK).write_text(StockDocument(snapshots=snapshots).to_json())
    (folder / TRIAL).write_text(_trial(folder, stock, start_ns, end_ns, closings).to_json())


def _load(tries: int, stock: int, start_ns: int) -> Iterator[tuple[TryRecord, int]]:
    """Tries in the order of their sending; the first ``stock`` of them sell, in that order."""
    spread = random.Random(1)
    for number in range(tries):
        worker, attempt = number % WORKERS, number // WORKERS
        sent_ns = start_ns + number * BETWEEN_TRIES_NS
        took_ns = 1_000_000 + int(spread.expovariate(1 / 3e6))
        if number < stock:
            yield _try(attempt, worker, number, sent_ns, sent_ns + took_ns, Outcome.SOLD, stock - number - 1), worker
        else:
            # Sold out is answered only after the last sale was, so that the history is true.
            answered_ns = max(sent_ns, start_ns + stock * BETWEEN_TRIES_NS + 100_000_000) + took_ns
            yield _try(attempt, worker, number, sent_ns, answered_ns, Outcome.SOLD_OUT), worker


def _try(
    attempt: int,
    worker: int,
    user: int,
    sent_ns: int,
    returned_ns: int,
    outcome: Outcome,
    remaining: int | None = None,
) -> TryRecord:
    sold = outcome is Outcome.SOLD
    return TryRecord(
        attempt=attempt,
        try_number=0,
        user=user,
        sku=0,
        quantity=1,
        key=idempotency_key(1, SALE_ID, worker, attempt),
        intended_ns=sent_ns,
        invoked_ns=sent_ns,
        returned_ns=returned_ns,
        outcome=outcome,
        status=201 if sold else 409,
        order_id=str(UUID(int=user)) if sold else None,
        remaining=remaining,
        seq=user + 1 if sold else None,
        server_us=900,
        redis_us=200,
        postgres_us=500,
    )


def _orders(tries: int, stock: int) -> Iterator[LedgerRow]:
    for number in range(min(tries, stock)):
        key = idempotency_key(1, SALE_ID, number % WORKERS, number // WORKERS)
        yield LedgerRow(
            order_id=str(UUID(int=number)),
            sku=SKU,
            quantity=1,
            user_id=f"u{number}",
            key=key.hex(),
            remaining=stock - number - 1,
            seq=number + 1,
            fence=None,
            created_unix_us=1_700_000_000_000_000 + number,
        )


def _close(folder: Path, label: str, recorder: Recorder) -> WorkerClosing:
    totals = recorder.close()
    closing = WorkerClosing(
        worker=label,
        tries=totals.tries,
        reads=totals.reads,
        tries_sha256=totals.tries_sha256,
        reads_sha256=totals.reads_sha256,
        cut_off=0,
        peak_in_flight=200,
        loop_lag_p99_ms=1.0,
        loop_lag_max_ms=5.0,
        cpu_share=0.5,
    )
    write_closing(folder, closing)
    return closing


def _trial(folder: Path, stock: int, start_ns: int, end_ns: int, closings: tuple[WorkerClosing, ...]) -> TrialDocument:
    return TrialDocument(
        trial=folder.name,
        strategy="row_lock",
        scenario="flash_sale",
        parameters={"users": 200, "stock": stock},
        seed=1,
        sale_id=SALE_ID,
        sale=SaleSpec(strategy="row_lock", items=(SaleItem(sku=SKU, stock=stock),)),
        workers=tuple(str(worker) for worker in range(WORKERS)),
        closings=closings,
        moments=Moments(
            opened_ns=start_ns - 10**9,
            released_ns=start_ns,
            load_ended_ns=end_ns - 1,
            drain_started_ns=end_ns,
            drain_ended_ns=end_ns + 10**9,
            collected_ns=end_ns + 7 * 10**9,
            anchor_monotonic_ns=start_ns,
            anchor_unix_ns=1_700_000_000 * 10**9,
        ),
        quiescence=Quiescence(reached=True, waited_s=4.0, snapshots_apart_s=3.1),
        ledger_source="postgres",
        fingerprint={"work": {"synthetic": True}, "machine": {}},
    )


if __name__ == "__main__":
    synthesize(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps({"tries": int(sys.argv[2])}) + "\n")
