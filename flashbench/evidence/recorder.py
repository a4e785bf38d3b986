"""Writes a load worker's records while a trial runs: append only, flushed at least every second, never fsynced.

A killed worker loses at most what it had not flushed; a record cut in half shows as a torn tail at sealing.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.evidence.records import ReadRecord, TryRecord

FLUSH_EVERY_NS = 1_000_000_000
FLUSH_EVERY_RECORDS = 4_096  # bounds memory, and how long one write can hold the event loop


@dataclass(frozen=True, slots=True)
class FileTotals:
    """Rows and SHA-256 of each of a recorder's two files, as a closing states them.

    Rows that the disk refused are counted and not hashed, so that the file is seen to lack them.
    """

    tries: int
    reads: int
    tries_sha256: str
    reads_sha256: str


class Recorder:
    """The two files of one worker: ``tries-<worker>.bin`` and ``reads-<worker>.bin``.

    Open it after the fork. Not thread-safe; greenlets may share it, for no call yields. UsageError if the folder
    cannot be written to; FileExistsError if another worker goes by the same label.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._tries = _RecordFile(folder / f"tries-{worker}.bin")
        self._reads = _RecordFile(folder / f"reads-{worker}.bin")
        self._flushed_ns = time.monotonic_ns()

    def record_try(self, record: TryRecord) -> None:
        """Keep one try; it is on its way to disk within a second or so."""
        self._tries.append(record.pack())

    def record_read(self, record: ReadRecord) -> None:
        """Keep one product read."""
        self._reads.append(record.pack())

    def flush_if_due(self, now_ns: int) -> None:
        """Flush if the last flush is a second ago; ``now_ns`` is CLOCK_MONOTONIC."""
        if now_ns - self._flushed_ns >= FLUSH_EVERY_NS:
            self._flushed_ns = now_ns
            self.flush()

    def flush(self) -> None:
        """Hand everything recorded so far to the operating system; UsageError if the disk is full."""
        self._tries.flush()
        self._reads.flush()

    def close(self) -> FileTotals:
        """Flush, close and say what was written. Closing twice says the same again."""
        self._tries.close()
        self._reads.close()
        return FileTotals(self._tries.rows, self._reads.rows, self._tries.sha256, self._reads.sha256)


class _RecordFile:
    """Appends packed records to one file, and hashes what it wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._pending: list[bytes] = []
        self._hash = hashlib.sha256()
        try:
            self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            raise  # no mistake of the user's
        except OSError as refusal:
            raise _cannot_write(path, refusal) from refusal

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def append(self, record: bytes) -> None:
        self._pending.append(record)
        if len(self._pending) >= FLUSH_EVERY_RECORDS:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        if self._descriptor is None:
            raise ValueError(f"{self.path.name} is closed")
        count = len(self._pending)
        batch = b"".join(self._pending)
        self._pending.clear()  # a batch that failed half-way must not be written again behind its own torn half
        self.rows += count
        try:
            rest = memoryview(batch)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as refusal:
            raise _cannot_write(self.path, refusal) from refusal
        self._hash.update(batch)

    def close(self) -> None:
        if self._descriptor is None:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = None


def _cannot_write(path: Path, refusal: OSError) -> UsageError:
    return UsageError(
        f"the evidence file {path} can't be written ({refusal.strerror}): free some space or name another folder."
    )
