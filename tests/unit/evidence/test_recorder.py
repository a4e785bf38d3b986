"""What a load worker records is on disk within a second, exactly as recorded, and counted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.recorder import FLUSH_EVERY_NS, FLUSH_EVERY_RECORDS, Recorder
from flashbench.evidence.records import READ_STRUCT, TRY_STRUCT, ReadRecord, TryRecord
from flashbench.vocabulary import Outcome


def a_try(attempt: int = 0) -> TryRecord:
    return TryRecord(attempt, 0, 7, 0, 1, bytes(16), 1, 2, 3, Outcome.SOLD, 201, f"order-{attempt}", 4, 5)


def a_read() -> ReadRecord:
    return ReadRecord(7, 0, 1, 2, 3, 200)


def test_the_totals_are_those_of_the_files(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "0")
    for attempt in range(10):
        recorder.record_try(a_try(attempt))
    recorder.record_read(a_read())
    totals = recorder.close()
    tries, reads = (tmp_path / "tries-0.bin").read_bytes(), (tmp_path / "reads-0.bin").read_bytes()
    assert (totals.tries, totals.reads) == (10, 1)
    assert (len(tries), len(reads)) == (10 * TRY_STRUCT.size, READ_STRUCT.size)
    assert totals.tries_sha256 == hashlib.sha256(tries).hexdigest()
    assert totals.reads_sha256 == hashlib.sha256(reads).hexdigest()
    assert recorder.close() == totals


def test_a_flush_is_due_once_a_second(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "0")
    recorder.flush_if_due(2**62)  # whenever the recorder was made, this is long after
    recorder.record_try(a_try())
    recorder.flush_if_due(2**62 + FLUSH_EVERY_NS - 1)
    assert (tmp_path / "tries-0.bin").stat().st_size == 0
    recorder.flush_if_due(2**62 + FLUSH_EVERY_NS)
    assert (tmp_path / "tries-0.bin").stat().st_size == TRY_STRUCT.size
    recorder.close()


def test_a_burst_is_flushed_before_it_fills_the_memory(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "0")
    for _ in range(FLUSH_EVERY_RECORDS):
        recorder.record_try(a_try())
    assert (tmp_path / "tries-0.bin").stat().st_size == FLUSH_EVERY_RECORDS * TRY_STRUCT.size
    recorder.close()


def test_two_workers_of_one_label_are_refused(tmp_path: Path) -> None:
    Recorder(tmp_path, "0").close()
    with pytest.raises(FileExistsError):
        Recorder(tmp_path, "0")


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"):
        Recorder(tmp_path / "missing", "0")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "0")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._tries._descriptor or -1)
    os.close(full)
    recorder.record_try(a_try())
    with pytest.raises(UsageError, match=r"tries-0\.bin can't be written \(No space left on device\)"):
        recorder.flush()
    assert recorder.close().tries == 1, "a record that the disk refused seems never to have been"


def test_an_order_id_of_any_language_leaves_the_record_whole(tmp_path: Path) -> None:
    record = TryRecord(0, 0, 7, 0, 1, bytes(16), 1, 2, 3, Outcome.SOLD, 201, "é" * 60)
    assert len(record.pack()) == TRY_STRUCT.size
    assert b"\\xe9\\xe9" in record.pack()


@pytest.mark.parametrize("module", ["flashbench.evidence.recorder", "flashbench.evidence.apart", "reports"])
def test_what_the_load_imports_brings_neither_pandas_nor_pyarrow(module: str) -> None:
    """They do not survive the fork of a load worker."""
    program = f"import {module}, sys; sys.exit(any(name in sys.modules for name in ('pandas', 'pyarrow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
