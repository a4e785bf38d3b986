"""An audit of evidence that went through other hands: a copy says the same, anything else never passes and says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flashbench.catalogue import ROOT
from flashbench.evidence.documents import LEDGER, MANIFEST, TRIAL, ManifestDocument
from flashbench.evidence.manifest import entry_of, evidence_files
from flashbench.vocabulary import Verdict
from reports.judging import judge
from tests.bundles import BundleBuilder

Harm = Callable[[Path, Path], None]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return BundleBuilder.honest(tmp_path / "one", skus=2, unknowns=2, twins=2, users=12).build()


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return BundleBuilder.honest(tmp_path / "two", skus=2, unknowns=2, twins=2, users=12, seed=2).build()


def rows_of(path: Path, rows: Callable[[int], list[int]]) -> None:
    """Rewrite a Parquet file with some of its rows, metadata and all."""
    table = pq.read_table(path)
    pq.write_table(table.take(rows(table.num_rows)), path)


def reseal(folder: Path) -> None:
    entries = tuple(entry_of(path) for path in evidence_files(folder))
    (folder / MANIFEST).write_text(ManifestDocument(files=entries).to_json())


def truncated(folder: Path, _: Path) -> None:
    path = folder / "tries-0.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def reordered(folder: Path, _: Path) -> None:
    rows_of(folder / LEDGER, lambda count: list(reversed(range(count))))


def one_row_removed(folder: Path, _: Path) -> None:
    rows_of(folder / "tries-0.parquet", lambda count: list(range(1, count)))


def one_row_removed_and_resealed(folder: Path, other: Path) -> None:
    one_row_removed(folder, other)
    reseal(folder)


def one_bit_flipped(folder: Path, _: Path) -> None:
    path = folder / LEDGER
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def a_workers_file_missing(folder: Path, _: Path) -> None:
    (folder / "tries-1.parquet").unlink()


def a_workers_file_missing_and_resealed(folder: Path, other: Path) -> None:
    a_workers_file_missing(folder, other)
    reseal(folder)


def a_workers_file_twice(folder: Path, _: Path) -> None:
    shutil.copy(folder / "tries-0.parquet", folder / "tries-1.parquet")
    reseal(folder)


def two_trials_mixed(folder: Path, other: Path) -> None:
    shutil.copy(other / "tries-1.parquet", folder / "tries-1.parquet")


def two_trials_mixed_and_resealed(folder: Path, other: Path) -> None:
    two_trials_mixed(folder, other)
    reseal(folder)


def another_trials_ledger_resealed(folder: Path, other: Path) -> None:
    shutil.copy(other / LEDGER, folder / LEDGER)
    reseal(folder)


def a_ledger_row_removed_and_resealed(folder: Path, _: Path) -> None:
    rows_of(folder / LEDGER, lambda count: list(range(1, count)))
    reseal(folder)


HARMS = [
    truncated,
    reordered,
    one_row_removed,
    one_row_removed_and_resealed,
    one_bit_flipped,
    a_workers_file_missing,
    a_workers_file_missing_and_resealed,
    a_workers_file_twice,
    two_trials_mixed,
    two_trials_mixed_and_resealed,
    another_trials_ledger_resealed,
    a_ledger_row_removed_and_resealed,
]


def test_a_copy_says_the_same(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "elsewhere" / "one"))
    assert judge(copy) == judge(bundle)
    assert judge(copy).verdict is Verdict.PASS


@pytest.mark.parametrize("harm", HARMS, ids=[harm.__name__ for harm in HARMS])
def test_what_was_changed_never_passes_and_says_what_is_wrong(bundle: Path, other: Path, harm: Harm) -> None:
    harm(bundle, other)
    verdict = judge(bundle)
    assert verdict.verdict is not Verdict.PASS
    said = [*verdict.reasons, *(finding.sentence for finding in verdict.findings if finding.status == "broken")]
    assert said
    assert all(sentence and "\n" not in sentence for sentence in said)


def test_every_row_of_the_ledger_is_missed(bundle: Path, other: Path, tmp_path: Path) -> None:
    """Also that of a purchase of which no buyer ever heard."""
    count = pq.read_metadata(bundle / LEDGER).num_rows
    assert count > 4
    for row in range(count):
        copy = Path(shutil.copytree(bundle, tmp_path / f"without-{row}" / "one"))
        rows_of(copy / LEDGER, lambda rows, row=row: [each for each in range(rows) if each != row])  # type: ignore[misc]
        reseal(copy)
        assert judge(copy).verdict is not Verdict.PASS, row


def test_evidence_of_an_older_version_is_still_read(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "tests" / "data" / "evidence-v1", tmp_path / "trial"))
    assert json.loads((folder / TRIAL).read_text())["schema_version"] == 1
    verdict = judge(folder)
    assert (verdict.verdict, verdict.reasons) == (Verdict.PASS, ())


def test_evidence_of_a_newer_version_is_not_taken_for_what_it_is_not(bundle: Path) -> None:
    path = bundle / TRIAL
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    reseal(bundle)
    verdict = judge(bundle)
    assert verdict.verdict is Verdict.UNPROVEN
    assert verdict.reasons
