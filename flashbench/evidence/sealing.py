"""Turns what a running trial wrote into what is kept: Parquet instead of records and NDJSON, and the manifest.

``python -m flashbench.evidence.sealing FOLDER`` (or ``-``: named on standard input) runs it in a process of its own. It
may be killed at any moment and run again: every file appears whole under its name, sources go only after all that was
learnt from them is in trial.json, and the manifest is written last. A sealed folder is left alone, so sealing can't
cover up a later change.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from pydantic import ValidationError

from flashbench.errors import UsageError
from flashbench.evidence.apart import folder_named
from flashbench.evidence.columns import (
    LEDGER_SCHEMA,
    READ_DTYPE,
    READ_SCHEMA,
    TELEMETRY_SCHEMA,
    TRY_DTYPE,
    TRY_SCHEMA,
    Records,
    table_of,
)
from flashbench.evidence.documents import (
    DRAFT,
    LEDGER,
    MANIFEST,
    STATED_LEDGER,
    TELEMETRY,
    TRIAL,
    FileEntry,
    ManifestDocument,
    TrialDocument,
    WorkerClosing,
)
from flashbench.evidence.manifest import entry_of, evidence_files
from flashbench.evidence.whole import publish, publish_text

ROWS_AT_ONCE = 128 * 1024

META_TRIAL = b"flashbench.trial"
META_WORKER = b"flashbench.worker"
META_SHA256 = b"flashbench.records_sha256"
META_DROPPED = b"flashbench.dropped"  # rows or bytes of the source that made no row

# By the stem of the NDJSON: what it becomes, its columns, and what is to be said of lines that were dropped.
_ROWS: dict[str, tuple[str, pa.Schema, str]] = {
    "ledger": (LEDGER, LEDGER_SCHEMA, "are no ledger rows"),
    "ledger-stated": (STATED_LEDGER, LEDGER_SCHEMA, "are no ledger rows"),
    "telemetry": (TELEMETRY, TELEMETRY_SCHEMA, ""),  # a sampler that was killed leaves a torn line, and no doubt
}


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What became of one source."""

    source: Path
    problems: tuple[str, ...]


def seal(folder: Path, *, after_step: Callable[[str], None] = lambda _: None) -> None:
    """Seal a trial's folder; nothing happens if it is sealed. UsageError if it is no trial's folder.

    ``after_step`` is told each step's name once it is done.
    """
    if not (folder / TRIAL).is_file():
        raise UsageError(f"{folder} is not a trial's folder: it has no {TRIAL}.")
    if (folder / MANIFEST).exists():
        return
    for draft in folder.glob(f"*{DRAFT}"):
        draft.unlink()
    trial = _read_trial(folder)
    closings, problems = _closings(folder, trial)
    sealed: list[_Sealed] = []
    for source in _sources(folder):
        sealed.append(_convert(source, trial.trial, closings))
        after_step(f"sealed {source.name}")
    problems += [problem for each in sealed for problem in each.problems]
    _write_trial(folder, trial, closings, problems)
    after_step(f"wrote {TRIAL}")
    for path in (*(each.source for each in sealed), *folder.glob("worker-*.closed.json")):
        path.unlink()
        after_step(f"removed {path.name}")
    publish_text(folder / MANIFEST, _manifest(folder).to_json())
    after_step(f"wrote {MANIFEST}")


def _read_trial(folder: Path) -> TrialDocument:
    try:
        return TrialDocument.from_json((folder / TRIAL).read_bytes())
    except ValidationError as error:
        raise UsageError(f"{folder / TRIAL} is not a trial's document ({error.error_count()} errors).") from error


def _closings(folder: Path, trial: TrialDocument) -> tuple[dict[str, WorkerClosing], list[str]]:
    """Every worker's last word, from trial.json and from the files that workers left beside it."""
    closings = {closing.worker: closing for closing in trial.closings}
    problems = []
    for path in sorted(folder.glob("worker-*.closed.json")):
        try:
            closing = WorkerClosing.from_json(path.read_bytes())
        except ValidationError:
            problems.append(f"{path.name} can't be read")
            continue
        if closings.setdefault(closing.worker, closing) != closing:
            problems.append(f"{path.name} and {TRIAL} disagree on what worker {closing.worker} wrote")
    return closings, problems


def _sources(folder: Path) -> list[Path]:
    rows = [folder / f"{stem}.ndjson" for stem in _ROWS]
    records = sorted(path for pattern in ("tries-*.bin", "reads-*.bin") for path in folder.glob(pattern))
    return [*records, *(path for path in rows if path.exists())]


def _convert(source: Path, trial: str, closings: dict[str, WorkerClosing]) -> _Sealed:
    if source.suffix == ".ndjson":
        return _convert_rows(source, trial)
    return _convert_records(source, trial, closings)


def _convert_records(source: Path, trial: str, closings: dict[str, WorkerClosing]) -> _Sealed:
    kind, _, worker = source.stem.partition("-")
    dtype, schema = (TRY_DTYPE, TRY_SCHEMA) if kind == "tries" else (READ_DTYPE, READ_SCHEMA)
    count, torn_bytes = divmod(source.stat().st_size, dtype.itemsize)
    digest = hashlib.sha256()
    for records in _batches(source, dtype, count):
        digest.update(records.tobytes())
    metadata = {
        META_TRIAL: trial.encode(),
        META_WORKER: worker.encode(),
        META_SHA256: digest.hexdigest().encode(),
        META_DROPPED: str(torn_bytes).encode(),
    }
    problems = []
    target = source.with_suffix(".parquet")
    try:
        publish(target, lambda draft: _write_records(draft, _batches(source, dtype, count), schema, metadata))
    except ValueError as error:
        problems.append(f"{source.name} holds records that mean nothing ({error}), so none of it was kept")
        publish(target, lambda draft: _write_records(draft, iter(()), schema, metadata))
    if torn_bytes:
        problems.append(f"{source.name} ends in a torn record: {torn_bytes} bytes were dropped")
    closing = closings.get(worker)
    if closing is not None:
        rows, sha256 = (
            (closing.tries, closing.tries_sha256) if kind == "tries" else (closing.reads, closing.reads_sha256)
        )
        if count != rows:
            problems.append(f"{source.name} holds {count} records, worker {worker} wrote {rows}")
        elif digest.hexdigest() != sha256:
            problems.append(f"{source.name} is not what worker {worker} wrote: its hash differs")
    return _Sealed(source, tuple(problems))


def _write_records(draft: Path, batches: Iterator[Records], schema: pa.Schema, metadata: dict[bytes, bytes]) -> None:
    full_schema = schema.with_metadata(metadata)
    words = ["outcome", "cache", "sku", "status"]  # few values; a dictionary of keys or stamps would only cost time
    with pq.ParquetWriter(draft, full_schema, compression="zstd", use_dictionary=words) as out:
        for records in batches:
            out.write_table(table_of(records, full_schema), row_group_size=ROWS_AT_ONCE)


def _batches(source: Path, dtype: np.dtype[np.void], count: int) -> Iterator[Records]:
    with source.open("rb") as file:
        while count > 0:
            batch = np.fromfile(file, dtype, min(count, ROWS_AT_ONCE))
            count -= len(batch)
            yield batch


def _convert_rows(source: Path, trial: str) -> _Sealed:
    """NDJSON of rows. Lines that are no such rows are dropped, counted and, where it matters, said."""
    name, schema, complaint = _ROWS[source.stem]
    table, dropped = _read_rows(source, schema)
    metadata = {META_TRIAL: trial.encode(), META_DROPPED: str(dropped).encode()}
    table = table.replace_schema_metadata(metadata)
    publish(source.with_name(name), lambda draft: pq.write_table(table, draft, compression="zstd"))
    return _Sealed(source, (f"{source.name} holds {dropped} lines that {complaint}",) if dropped and complaint else ())


def _read_rows(source: Path, schema: pa.Schema) -> tuple[pa.Table, int]:
    if source.stat().st_size == 0:
        return schema.empty_table(), 0
    try:
        return _parse_rows(pa.py_buffer(source.read_bytes()), schema), 0
    except pa.ArrowInvalid:
        good, dropped = [], 0
        for line in source.read_bytes().splitlines(keepends=True):
            try:
                good.append(_parse_rows(pa.py_buffer(line), schema))
            except pa.ArrowInvalid:
                dropped += 1
        return pa.concat_tables([schema.empty_table(), *good]), dropped


def _parse_rows(content: pa.Buffer, schema: pa.Schema) -> pa.Table:
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    table = pa.json.read_json(pa.BufferReader(content), parse_options=options).select(schema.names)
    table.validate(full=True)  # text that is no UTF-8 comes through otherwise
    return table


def _write_trial(folder: Path, trial: TrialDocument, closings: dict[str, WorkerClosing], problems: list[str]) -> None:
    known = dict.fromkeys((*trial.problems, *problems))  # a second sealing finds the same again
    final = trial.model_copy(
        update={
            "closings": tuple(closings[worker] for worker in sorted(closings)),
            "problems": tuple(known),
        }
    )
    publish_text(folder / TRIAL, final.to_json())


def _manifest(folder: Path) -> ManifestDocument:
    return ManifestDocument(files=tuple(_entry(path) for path in evidence_files(folder)))


def _entry(path: Path) -> FileEntry:
    return entry_of(path, pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None)


def main(arguments: list[str]) -> int:
    """Seal the folder named; the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m flashbench.evidence.sealing FOLDER\n")
        return 2
    folder = folder_named(arguments[0])
    try:
        seal(folder)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"the evidence can't be sealed: {error.filename or folder}: {error.strerror}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
