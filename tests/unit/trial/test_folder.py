"""A folder that can't take the evidence must be refused before the load, not after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.documents import WorkerClosing
from flashbench.target.protocol import LedgerRow
from flashbench.trial.collect import closing_path, read_closings, write_closing, write_ledger
from flashbench.trial.folder import check_writable, make_folder


def test_asking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert check_writable(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--evidence"):
        check_writable(tmp_path / "file")
    with pytest.raises(UsageError, match="--evidence"):
        check_writable(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_folder_that_takes_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--evidence"):
        check_writable(Path("/proc/self"))


def test_trials_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    names = [make_folder(tmp_path, "trial").name for _ in range(3)]
    assert names == ["trial", "trial-2", "trial-3"]


def test_a_closing_appears_whole_and_a_broken_one_counts_as_missing(tmp_path: Path) -> None:
    closing = WorkerClosing(
        worker="0",
        tries=1,
        reads=0,
        tries_sha256="a",
        reads_sha256="b",
        cut_off=0,
        peak_in_flight=1,
        loop_lag_p99_ms=0,
        loop_lag_max_ms=0,
        cpu_share=0,
    )
    write_closing(tmp_path, closing)
    closing_path(tmp_path, "1").write_text("{")
    assert read_closings(tmp_path) == (closing,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker-0.closed.json", "worker-1.closed.json"]


def test_a_ledger_is_one_row_a_line(tmp_path: Path) -> None:
    row = LedgerRow("o", "sku-1", 1, "u1", "k", None, None, None, 5)
    assert write_ledger(tmp_path / "ledger.ndjson", [row, row]) == 2
    assert len((tmp_path / "ledger.ndjson").read_text().splitlines()) == 2


def test_half_a_ledger_is_none(tmp_path: Path) -> None:
    def breaks_off() -> Iterator[LedgerRow]:
        yield LedgerRow("o", "sku-1", 1, "u1", "k", None, None, None, 5)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        write_ledger(tmp_path / "ledger.ndjson", breaks_off())
    assert not (tmp_path / "ledger.ndjson").exists()
