"""A sealed trial, loaded: every document and table of its folder, and what is wrong with them.

A file that is missing, altered or unreadable is a sentence in ``problems``, never an exception; its rows are left out,
so whatever is loaded is as it was sealed. Only ``trial.json`` must be readable, for nothing means anything without it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from flashbench.errors import UsageError
from flashbench.evidence.columns import (
    LEDGER_SCHEMA,
    READ_DTYPE,
    READ_SCHEMA,
    TELEMETRY_SCHEMA,
    TRY_DTYPE,
    TRY_SCHEMA,
    key_bytes,
    key_text,
    records_of,
)
from flashbench.evidence.documents import (
    DRAIN_WORKER,
    FAULTS,
    LEDGER,
    MANIFEST,
    STATED_LEDGER,
    STOCK,
    TELEMETRY,
    TRIAL,
    FaultEvent,
    StockDocument,
    TrialDocument,
    fault_events,
)
from flashbench.evidence.manifest import compare
from flashbench.evidence.records import CACHE_STATES, OUTCOMES
from flashbench.evidence.sealing import (
    META_DROPPED,
    META_SHA256,
    META_TRIAL,
    META_WORKER,
    ROWS_AT_ONCE,
)

_MEASURED = ("server_us", "redis_us", "postgres_us", "age_s")
NULLABLE = frozenset({*_MEASURED, "returned_ns", "remaining", "seq", "version", "fence", "created_unix_us"})
_TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
_CATEGORIES = {
    "outcome": [outcome.value for outcome in OUTCOMES],
    "cache": [state.value for state in CACHE_STATES],
}


class UnreadableTrialError(Exception):
    """``trial.json`` is missing or can't be read; the text is one sentence that says so."""


@dataclass
class Bundle:
    """All evidence of one trial.

    ``tries``: one row per try, load workers' first, then the drain's; columns ``worker``, ``attempt``, ``try_number``,
    ``user``, ``user_id`` ("u7"), ``sku`` (the name), ``quantity``, ``key`` (32 hex digits), ``intended_ns``,
    ``invoked_ns``, ``returned_ns``, ``outcome``, ``status``, ``order_id``, ``remaining``, ``seq``, ``replayed``,
    ``server_us``, ``redis_us``, ``postgres_us``; worker, sku and outcome are categoricals, absent values are null.
    ``reads``: likewise, one row per product read. ``ledger`` and ``stated_ledger``: the columns of
    ``LedgerRow``; None where there is no such (whole, unaltered) file, as are ``stock`` and ``telemetry`` (columns
    ``at_ns``, ``source``, ``subject``, ``metric``, ``value``; it decides nothing).

    ``tries_whole``, ``reads_whole``: every expected worker, and the drain, left all that it wrote.
    ``ledger_whole``: no row of the ledger can be missing. ``trusted``: trial.json itself is as it was sealed.
    """

    folder: Path
    trial: TrialDocument
    tries: pd.DataFrame
    reads: pd.DataFrame
    ledger: pd.DataFrame | None
    stated_ledger: pd.DataFrame | None
    stock: StockDocument | None
    faults: tuple[FaultEvent, ...]
    telemetry: pd.DataFrame | None = None
    problems: list[str] = field(default_factory=list)
    tries_whole: bool = False
    reads_whole: bool = False
    ledger_whole: bool = False
    trusted: bool = False

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load ``folder``. UsageError if it is no trial's folder; UnreadableTrialError if trial.json can't be read."""
        if not looks_like_a_trial(folder):
            raise UsageError(f"{folder} is not a trial's folder: it holds neither {TRIAL} nor {MANIFEST}.")
        trial = _read_trial(folder)
        reader = _Reader(folder, trial)
        tries, reads = reader.records("tries"), reader.records("reads")
        reader.note_lost_workers()
        reader.note_last_words()
        ledger, stated = reader.rows(LEDGER), reader.rows(STATED_LEDGER)
        return cls(
            folder=folder,
            trial=trial,
            tries=tries,
            reads=reads,
            ledger=ledger,
            stated_ledger=stated,
            stock=reader.stock(),
            faults=reader.faults(),
            telemetry=reader.telemetry(),
            problems=reader.problems,
            tries_whole="tries" not in reader.incomplete,
            reads_whole="reads" not in reader.incomplete,
            ledger_whole=ledger is not None
            and reader.ledger_whole
            and trial.ledger_source != "none"
            and trial.moments.collected_ns is not None,
            trusted=TRIAL not in reader.distrusted,
        )

    @cached_property
    def drain(self) -> pd.DataFrame:
        """The tries of the drain."""
        return self.tries[self.tries["worker"] == DRAIN_WORKER]

    @cached_property
    def load_tries(self) -> pd.DataFrame:
        """The tries of the load: all but the drain's."""
        return self.tries[self.tries["worker"] != DRAIN_WORKER]


def looks_like_a_trial(folder: Path) -> bool:
    """Whether a trial left something here, whole or not."""
    return folder.is_dir() and any(
        next(folder.glob(pattern), None) is not None for pattern in (TRIAL, MANIFEST, "tries-*.parquet", "tries-*.bin")
    )


def _read_trial(folder: Path) -> TrialDocument:
    try:
        trial = TrialDocument.from_json((folder / TRIAL).read_bytes())
    except FileNotFoundError as error:
        raise UnreadableTrialError(f"{TRIAL} is missing") from error
    except OSError as error:
        raise UnreadableTrialError(f"{TRIAL} can't be read ({error.strerror})") from error
    except ValidationError as error:
        raise UnreadableTrialError(f"{TRIAL} is not a trial's document: {_first_error(error)}") from error
    names = [item.sku for item in trial.sale.items]
    if len(set(names)) != len(names):
        raise UnreadableTrialError(f"{TRIAL} names one SKU twice")
    return trial


class _Reader:
    """Reads the files of one folder, and gathers what is wrong with them."""

    def __init__(self, folder: Path, trial: TrialDocument) -> None:
        self.folder, self.trial = folder, trial
        comparison = compare(folder)
        self.problems = list(comparison.problems)
        self.distrusted = comparison.distrusted
        self.closings = {closing.worker: closing for closing in trial.closings}
        self.incomplete: set[str] = set()  # of "tries" and "reads"
        self.ledger_whole = True
        self._seen: set[tuple[str, str]] = set()

    def records(self, kind: str) -> pd.DataFrame:
        """``tries`` or ``reads`` of all workers, the drain's last."""
        schema = TRY_SCHEMA if kind == "tries" else READ_SCHEMA
        paths = sorted(
            self.folder.glob(f"{kind}-*.parquet"), key=lambda path: (path.stem.endswith(f"-{DRAIN_WORKER}"), path.name)
        )
        workers, tables = [], []
        for path in paths:
            worker = path.stem.partition("-")[2]
            table = self._record_table(path, kind, worker)
            if table is not None:
                self._seen.add((kind, worker))
                workers.append(worker)
                tables.append(table)
        frame = _frame(workers, tables, schema, [item.sku for item in self.trial.sale.items])
        if frame is None:
            self._lack(f"{kind} name a SKU that the sale does not have", kind)
            return _empty(schema, self.trial)
        return frame

    def note_lost_workers(self) -> None:
        """Every expected worker, and the drain, must have left a closing and both files."""
        expected = list(self.trial.workers)
        if self.trial.moments.drain_started_ns is not None:
            expected.append(DRAIN_WORKER)
        for worker in expected:
            who = "the drain" if worker == DRAIN_WORKER else f"worker {worker}"
            if worker not in self.closings:
                self._lack(f"{who} was lost: it left no closing, so some of its tries may be missing", "tries", "reads")
            for kind in ("tries", "reads"):
                name = f"{kind}-{worker}.parquet"
                if (kind, worker) not in self._seen and not any(name in problem for problem in self.problems):
                    self._lack(f"{name} is missing", kind)
                elif (kind, worker) not in self._seen:
                    self.incomplete.add(kind)  # and why stands among the problems
        if not self.trial.workers:
            self._lack("no load worker is known to have run", "tries", "reads")

    def note_last_words(self) -> None:
        """What workers say of themselves."""
        for closing in self.trial.closings:
            self.problems += closing.problems
            if closing.own_clock:
                self.problems.append(f"worker {closing.worker} ran on another machine, whose clock is not comparable")

    def rows(self, name: str) -> pd.DataFrame | None:
        """A ledger, or None; whether it is whole is noted for the harness's own."""
        path = self.folder / name
        if name in self.distrusted or not path.exists():
            return None
        table = self._table(path, LEDGER_SCHEMA)
        if table is None:
            return None
        metadata = table.schema.metadata or {}
        if metadata.get(META_TRIAL) != self.trial.trial.encode():
            self.problems.append(f"{name} belongs to another trial")
            return None
        if name == LEDGER and metadata.get(META_DROPPED) != b"0":
            self.ledger_whole = False
            self.problems.append(f"{name} lacks rows that could not be read when it was sealed")
        if any(table.column(column).null_count for column in LEDGER_SCHEMA.names if column not in NULLABLE):
            self.problems.append(f"{name} has rows that do not say what was bought, how much or by whom")
            return None
        return pd.DataFrame({column: _values(column, table.column(column)) for column in LEDGER_SCHEMA.names})

    def stock(self) -> StockDocument | None:
        """``stock.json``, or None."""
        path = self.folder / STOCK
        if STOCK in self.distrusted or not path.exists():
            return None
        try:
            return StockDocument.from_json(path.read_bytes())
        except (OSError, ValidationError):
            self.problems.append(f"{STOCK} can't be read")
            return None

    def faults(self) -> tuple[FaultEvent, ...]:
        """The lines of ``faults.jsonl``; none if there is no such file."""
        path = self.folder / FAULTS
        if FAULTS in self.distrusted or not path.exists():
            return ()
        try:
            return fault_events(path.read_bytes())
        except (OSError, ValidationError):
            self.problems.append(f"{FAULTS} can't be read")
            return ()

    def telemetry(self) -> pd.DataFrame | None:
        """``telemetry.parquet`` in time order, or None."""
        path = self.folder / TELEMETRY
        if TELEMETRY in self.distrusted or not path.exists():
            return None
        table = self._table(path, TELEMETRY_SCHEMA)
        return None if table is None else table.to_pandas().sort_values("at_ns", kind="stable", ignore_index=True)

    def _record_table(self, path: Path, kind: str, worker: str) -> pa.Table | None:
        if path.name in self.distrusted:
            self.incomplete.add(kind)
            return None
        schema, dtype = (TRY_SCHEMA, TRY_DTYPE) if kind == "tries" else (READ_SCHEMA, READ_DTYPE)
        table = self._table(path, schema)
        if table is None:
            self.incomplete.add(kind)
            return None
        metadata = table.schema.metadata or {}
        if metadata.get(META_TRIAL) != self.trial.trial.encode() or metadata.get(META_WORKER) != worker.encode():
            self._lack(f"{path.name} belongs to another trial or worker", kind)
            return None
        if worker not in (*self.trial.workers, DRAIN_WORKER):
            self._lack(f"{path.name} is of worker {worker}, which this trial did not have", kind)
            return None
        problem = self._departure(path.name, kind, worker, table, dtype)
        if problem:
            self._lack(problem, kind)
            return None
        return table

    def _departure(self, name: str, kind: str, worker: str, table: pa.Table, dtype: np.dtype[np.void]) -> str | None:
        """How the rows differ from those that the worker wrote, or, if it left no closing, from those sealed."""
        closing = self.closings.get(worker)
        rows, sha256 = table.num_rows, (table.schema.metadata or {}).get(META_SHA256, b"").decode()
        if closing is not None and kind == "tries":
            rows, sha256 = closing.tries, closing.tries_sha256
        elif closing is not None:
            rows, sha256 = closing.reads, closing.reads_sha256
        if table.num_rows != rows:
            return f"{name} has {table.num_rows} rows, worker {worker} wrote {rows}"
        if _records_sha256(table, dtype) != sha256:
            return f"{name} is not what worker {worker} wrote: the hash of its rows differs"
        return None

    def _table(self, path: Path, schema: pa.Schema) -> pa.Table | None:
        try:
            table = pq.read_table(path, partitioning=None)
            table.validate(full=True)
        except (OSError, pa.ArrowException) as error:
            self.problems.append(f"{path.name} can't be read as Parquet ({_one_line(error)})")
            return None
        if not table.schema.equals(schema):
            self.problems.append(f"{path.name} does not have the columns that it should have")
            return None
        return table

    def _lack(self, problem: str, *kinds: str) -> None:
        self.incomplete.update(kinds)
        self.problems.append(problem)


def _records_sha256(table: pa.Table, dtype: np.dtype[np.void]) -> str:
    """The hash of the fixed-width records from which ``table`` was made; empty if none can have made it."""
    digest = hashlib.sha256()
    for offset in range(0, table.num_rows, ROWS_AT_ONCE):
        try:
            digest.update(records_of(table.slice(offset, ROWS_AT_ONCE), dtype).tobytes())
        except (ValueError, KeyError, pa.ArrowException):
            return ""  # values that no record can hold
    return digest.hexdigest()


def _frame(workers: list[str], tables: list[pa.Table], schema: pa.Schema, skus: list[str]) -> pd.DataFrame | None:
    """One frame of all workers' rows; None if a SKU's index is out of range. Empties ``tables`` to save memory."""
    counts = [each.num_rows for each in tables]
    bare = [table.replace_schema_metadata(None) for table in tables]
    table = pa.concat_tables([schema.empty_table(), *bare]).unify_dictionaries()
    tables.clear()
    bare.clear()
    labels = pd.Categorical.from_codes(
        np.repeat(np.arange(len(workers)), counts), categories=pd.Index(workers, dtype=object)
    )
    columns: dict[str, Any] = {"worker": labels}
    for name in schema.names:
        column = _whole(table.column(name))
        table = table.drop_columns([name])
        if name == "sku":
            codes = column.to_numpy(zero_copy_only=False).astype(np.int32)
            if len(codes) and int(codes.max()) >= len(skus):
                return None
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(skus, dtype=object))
        elif name in _CATEGORIES:
            columns[name] = _category(column, _CATEGORIES[name])
        elif name == "key":
            columns[name] = _text(key_text(key_bytes(column)))
        else:
            columns[name] = _values(name, column)
        if name == "user":
            columns["user_id"] = _text(pc.binary_join_element_wise("u", column.cast(pa.string()), ""))
    return pd.DataFrame(columns)


def _empty(schema: pa.Schema, trial: TrialDocument) -> pd.DataFrame:
    frame = _frame([], [], schema, [item.sku for item in trial.sale.items])
    if frame is None:
        raise AssertionError("a frame without rows names no SKU")
    return frame


def _category(column: pa.Array, words: list[str]) -> pd.Categorical:
    found = column.dictionary.to_pylist()
    meaning = np.array([words.index(word) for word in found] or [0], np.int8)
    return pd.Categorical.from_codes(
        meaning[column.indices.to_numpy(zero_copy_only=False)], categories=pd.Index(words, dtype=object)
    )


def _values(name: str, column: pa.Array | pa.ChunkedArray) -> Any:
    """Text as strings; integers as they are, or nullable where the format lets them be absent."""
    column = _whole(column)
    if pa.types.is_string(column.type):
        return _text(column)
    if name not in NULLABLE:
        return column.to_numpy(zero_copy_only=False)
    values = np.array(column.fill_null(0).to_numpy(zero_copy_only=False))
    return pd.arrays.IntegerArray(values, column.is_null().to_numpy(zero_copy_only=False))


def _text(column: pa.Array) -> Any:
    return pd.array(column, dtype=_TEXT)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
