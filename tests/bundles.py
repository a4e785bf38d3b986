"""Small honest bundles for tests, which a test may then break one thing at a time.

``BundleBuilder.honest(folder)`` plays a small sale through; its lists may be changed before ``build()`` records, seals
and returns the trial's folder, through the same code as a real trial's.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from flashbench.evidence.documents import (
    DRAIN_WORKER,
    FAULTS,
    STOCK,
    TRIAL,
    CounterDeclaration,
    FaultEvent,
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
from flashbench.evidence.records import CacheState, ReadRecord, TryRecord
from flashbench.evidence.sealing import seal
from flashbench.target.protocol import LedgerRow
from flashbench.vocabulary import Outcome

MS = 1_000_000
OPENED_NS = 1_000_000 * MS
DRAIN_FIRST_USER = 10**12
COUNTER = CounterDeclaration(key="redis_lua:{sale_id}:{sku}", remaining_field="avail", held_field="held")


@dataclass
class Placed:
    """A try and the worker that made it."""

    worker: str
    record: TryRecord


@dataclass
class BundleBuilder:
    """What a trial's folder will hold. Change anything, then ``build()``.

    ``trial_fields`` replaces fields of trial.json; ``stated_ledger`` and ``stated_readings`` None mean that the target
    states what the stores hold; ``readings`` is the final reading of the stores by the harness.
    """

    folder: Path
    items: tuple[SaleItem, ...] = (SaleItem(sku="sku-1", stock=5),)
    per_user_limit: int = 0
    strategy: str = "row_lock"
    counter: CounterDeclaration | None = None
    workers: tuple[str, ...] = ("0", "1")
    tries: list[Placed] = field(default_factory=list)
    reads: list[tuple[str, ReadRecord]] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    stated_ledger: list[LedgerRow] | None = None
    readings: list[StoreReading] = field(default_factory=list)
    stated_readings: list[StoreReading] | None = None
    faults: list[FaultEvent] = field(default_factory=list)
    telemetry: list[tuple[int, str, str, str, float]] = field(default_factory=list)  # columns as in telemetry.parquet
    trial_fields: dict[str, Any] = field(default_factory=dict)
    last_words: dict[str, dict[str, Any]] = field(default_factory=dict)  # by worker, fields of its closing
    without_closing: set[str] = field(default_factory=set)

    @classmethod
    def honest(
        cls,
        folder: Path,
        *,
        skus: int = 1,
        stock: int = 5,
        attempts: int = 24,
        quantity: int = 1,
        limit: int = 0,
        users: int | None = None,
        unknowns: int = 0,
        failing: Container[int] = (),
        twins: int = 0,
        counter: bool = False,
        drain_attempts: int = 34,
        seed: int = 0,
        **fields: Any,
    ) -> BundleBuilder:
        """A sale in which everything is right: ``attempts`` overlapping purchases, then a contended drain.

        The first ``unknowns`` attempts get no answer, every other of them having bought; the next ``twins`` attempts
        are sent twice. The attempts ``failing`` are refused without effect. ``fields`` are fields of trial.json.
        """
        items = tuple(SaleItem(sku=f"sku-{number}", stock=stock) for number in range(1, skus + 1))
        fields = {
            "parameters": {"quantity": quantity, "stock": stock, "users": users or attempts},
            "seed": seed,
            **fields,
        }
        builder = cls(folder, items=items, per_user_limit=limit, trial_fields=fields)
        builder.counter = COUNTER if counter else None
        shop = _Shop(builder, random.Random(seed))
        for attempt in range(attempts):
            shop.attempt(
                worker=builder.workers[attempt % 2],
                attempt=attempt,
                user=attempt % (users or attempts),
                sku=attempt % skus,
                quantity=quantity,
                invoked_ns=OPENED_NS + attempt * MS,
                answered=attempt >= unknowns,
                commits=attempt not in failing and (attempt >= unknowns or attempt % 2 == 0),
                fails=attempt in failing,
                twin=unknowns <= attempt < unknowns + twins,
            )
        drain_ns = OPENED_NS + (attempts + 100) * MS
        for attempt in range(drain_attempts * skus):
            shop.attempt(
                worker=DRAIN_WORKER,
                attempt=attempt,
                user=DRAIN_FIRST_USER + attempt,
                sku=attempt % skus,
                quantity=quantity,
                invoked_ns=drain_ns + attempt * MS,
            )
        builder.readings = shop.readings()
        return builder

    @property
    def load(self) -> list[Placed]:
        """The tries of the load."""
        return [placed for placed in self.tries if placed.worker != DRAIN_WORKER]

    @property
    def drain(self) -> list[Placed]:
        """The tries of the drain."""
        return [placed for placed in self.tries if placed.worker == DRAIN_WORKER]

    def change_try(self, which: Callable[[TryRecord], bool], **changes: Any) -> TryRecord:
        """Replace fields of the first try of the load for which ``which`` holds; the try as it was."""
        for placed in self.tries:
            if placed.worker != DRAIN_WORKER and which(placed.record):
                before, placed.record = placed.record, replace(placed.record, **changes)
                return before
        raise LookupError("no try of the load is like that")

    def change_row(self, position: int, **changes: Any) -> None:
        """Replace fields of one ledger row."""
        self.ledger[position] = replace(self.ledger[position], **changes)

    def change_reading(self, position: int = 0, **changes: Any) -> None:
        """Replace fields of what the harness finally reads of one SKU."""
        self.readings[position] = self.readings[position].model_copy(update=changes)

    def add_read(self, **fields: Any) -> None:
        """A product read of the first SKU; hit by default."""
        given: dict[str, Any] = {
            "user": 1,
            "sku": 0,
            "intended_ns": OPENED_NS,
            "invoked_ns": OPENED_NS,
            "returned_ns": OPENED_NS + MS,
        }
        given |= {"status": 200, "cache": CacheState.HIT, "age_s": 0, "version": 1, "remaining": 1}
        self.reads.append((self.workers[0], ReadRecord(**{**given, **fields})))

    def build(self, *, sealed: bool = True) -> Path:
        """Record everything, and seal it unless told not to; the trial's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        closings = [self._record(worker) for worker in dict.fromkeys((*self.workers, DRAIN_WORKER))]
        for closing in closings:
            if closing.worker not in self.without_closing:
                (self.folder / f"worker-{closing.worker}.closed.json").write_text(closing.to_json())
        stated = self.ledger if self.stated_ledger is None else self.stated_ledger
        _write_rows(self.folder / "ledger.ndjson", self.ledger)
        _write_rows(self.folder / "ledger-stated.ndjson", stated)
        (self.folder / STOCK).write_text(self._stock().to_json())
        if self.faults:
            lines = [event.model_dump_json() for event in self.faults]
            (self.folder / FAULTS).write_text("\n".join(lines) + "\n")
        if self.telemetry:
            names = ("at_ns", "source", "subject", "metric", "value")
            lines = [json.dumps(dict(zip(names, row, strict=True))) for row in self.telemetry]
            (self.folder / "telemetry.ndjson").write_text("\n".join(lines) + "\n")
        (self.folder / TRIAL).write_text(self.trial().to_json())
        if sealed:
            seal(self.folder)
        return self.folder

    def trial(self) -> TrialDocument:
        """trial.json as it will be written."""
        last_ns = max((_end_ns(placed.record) for placed in self.tries), default=OPENED_NS)
        load_end_ns = max((_end_ns(placed.record) for placed in self.load), default=OPENED_NS)
        drain_ns = min((placed.record.invoked_ns for placed in self.drain), default=load_end_ns + MS)
        moments = Moments(
            opened_ns=OPENED_NS - MS,
            released_ns=OPENED_NS,
            load_ended_ns=load_end_ns,
            drain_started_ns=drain_ns,
            drain_ended_ns=last_ns,
            collected_ns=last_ns + 4_000 * MS,
            anchor_monotonic_ns=OPENED_NS,
            anchor_unix_ns=1_700_000_000_000_000_000,
        )
        fields: dict[str, Any] = {
            "trial": self.folder.name,
            "strategy": self.strategy,
            "scenario": "flash_sale",
            "parameters": {"quantity": 1},
            "seed": 0,
            "sale_id": "sale-1",
            "sale": SaleSpec(strategy=self.strategy, items=self.items, per_user_limit=self.per_user_limit),
            "counter": self.counter,
            "workers": self.workers,
            "moments": moments,
            "quiescence": Quiescence(reached=True, waited_s=3.3, snapshots_apart_s=3.2),
            "ledger_source": "postgres",
            "fingerprint": {"work": {"postgres": {"version": "18.0"}}, "machine": {"scratch_filesystem": "ext4"}},
        }
        return TrialDocument(**{**fields, **self.trial_fields})

    def _record(self, worker: str) -> WorkerClosing:
        recorder = Recorder(self.folder, worker)
        for placed in self.tries:
            if placed.worker == worker:
                recorder.record_try(placed.record)
        for owner, read in self.reads:
            if owner == worker:
                recorder.record_read(read)
        totals = recorder.close()
        return WorkerClosing(
            worker=worker,
            **asdict(totals),
            cut_off=0,
            peak_in_flight=5,
            loop_lag_p99_ms=1.0,
            loop_lag_max_ms=2.0,
            cpu_share=0.2,
            **self.last_words.get(worker, {}),
        )

    def _stock(self) -> StockDocument:
        stated = self.readings if self.stated_readings is None else self.stated_readings
        at_ns = OPENED_NS + 60_000 * MS
        return StockDocument(
            snapshots=(
                StockSnapshot(at_ns=at_ns, source="stores", items=tuple(self.readings)),
                StockSnapshot(at_ns=at_ns + MS, source="target", items=tuple(stated)),
            )
        )


class _Shop:
    """A correct target: decides every purchase at its invocation, in the order of invocations."""

    def __init__(self, builder: BundleBuilder, chance: random.Random) -> None:
        self._builder, self._chance = builder, chance
        self._remaining = [item.stock for item in builder.items]
        self._seq = [0] * len(builder.items)
        self._bought: dict[int, int] = {}

    def attempt(
        self,
        *,
        worker: str,
        attempt: int,
        user: int,
        sku: int,
        quantity: int,
        invoked_ns: int,
        answered: bool = True,
        commits: bool = True,
        fails: bool = False,
        twin: bool = False,
    ) -> None:
        key = hashlib.blake2b(f"{worker}|{attempt}".encode(), digest_size=16).digest()
        record = TryRecord(
            attempt=attempt,
            try_number=0,
            user=user,
            sku=sku,
            quantity=quantity,
            key=key,
            intended_ns=invoked_ns,
            invoked_ns=invoked_ns,
            returned_ns=invoked_ns + self._chance.randrange(4 * MS, 9 * MS),
            outcome=Outcome.UNKNOWN,
            server_us=900,
            redis_us=100,
            postgres_us=500,
        )
        if commits:
            record = self._decide(record)
        elif fails:
            record = replace(record, outcome=Outcome.FAILED, status=503)
        if not answered:
            lost: dict[str, Any] = {
                "order_id": None,
                "remaining": None,
                "seq": None,
                "server_us": -1,
                "redis_us": -1,
                "postgres_us": -1,
            }
            record = replace(record, outcome=Outcome.UNKNOWN, status=0, returned_ns=None, **lost)
        self._builder.tries.append(Placed(worker, record))
        if twin:
            sold = record.outcome is Outcome.SOLD
            again = replace(
                record, try_number=1, invoked_ns=invoked_ns + 1, replayed=sold, status=200 if sold else record.status
            )
            self._builder.tries.append(Placed(worker, again))

    def readings(self) -> list[StoreReading]:
        counted = self._builder.counter is not None
        return [
            StoreReading(
                sku=item.sku,
                initial=item.stock,
                sold=item.stock - remaining,
                postgres_remaining=remaining,
                redis_remaining=remaining if counted else None,
                redis_held=0 if counted else None,
            )
            for item, remaining in zip(self._builder.items, self._remaining, strict=True)
        ]

    def _decide(self, record: TryRecord) -> TryRecord:
        limit = self._builder.per_user_limit
        bought = self._bought.get(record.user, 0)
        if limit and bought + record.quantity > limit:
            return replace(record, outcome=Outcome.LIMITED, status=409)
        if self._remaining[record.sku] < record.quantity:
            return replace(record, outcome=Outcome.SOLD_OUT, status=409)
        self._bought[record.user] = bought + record.quantity
        self._remaining[record.sku] -= record.quantity
        self._seq[record.sku] += 1
        row = LedgerRow(
            order_id=f"00000000-0000-4000-8000-{len(self._builder.ledger):012d}",
            sku=self._builder.items[record.sku].sku,
            quantity=record.quantity,
            user_id=f"u{record.user}",
            key=record.key.hex(),
            remaining=self._remaining[record.sku],
            seq=self._seq[record.sku],
            fence=self._seq[record.sku],
            created_unix_us=1_700_000_000_000_000 + len(self._builder.ledger),
        )
        self._builder.ledger.append(row)
        sold: dict[str, Any] = {"order_id": row.order_id, "remaining": row.remaining, "seq": row.seq}
        return replace(record, outcome=Outcome.SOLD, status=201, **sold)


def _end_ns(record: TryRecord) -> int:
    return record.invoked_ns if record.returned_ns is None else record.returned_ns


def _write_rows(path: Path, rows: Sequence[LedgerRow]) -> None:
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
