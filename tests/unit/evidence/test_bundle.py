"""Whatever happens to a sealed folder, loading it says what is wrong, by name, and never believes the damaged file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flashbench.errors import UsageError
from flashbench.evidence.bundle import Bundle, UnreadableTrialError
from flashbench.evidence.documents import MANIFEST, TRIAL, ManifestDocument
from flashbench.evidence.manifest import entry_of, evidence_files
from tests.bundles import BundleBuilder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sale = BundleBuilder.honest(tmp_path / "trial", skus=2, unknowns=2, twins=2, limit=2, users=8)
    sale.add_read()
    return sale.build()


def rewrite_manifest(folder: Path) -> None:
    """What someone would do who alters evidence and knows of the manifest."""
    entries = tuple(entry_of(path) for path in evidence_files(folder))
    (folder / MANIFEST).write_text(ManifestDocument(files=entries).to_json())


def edit_parquet(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the rows and keep the metadata."""
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)


def without_first_row(table: pa.Table) -> pa.Table:
    return table.slice(1)


def first_sold_becomes_refused(table: pa.Table) -> pa.Table:
    words = table.column("outcome").combine_chunks().dictionary.to_pylist()
    outcomes = table.column("outcome").to_pylist()
    outcomes[outcomes.index("sold")] = "sold_out"
    codes = pa.array([words.index(word) for word in outcomes], pa.int8())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(words))
    return table.set_column(table.schema.get_field_index("outcome"), "outcome", column)


def test_an_untouched_folder_has_no_problem(folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert (bundle.problems, bundle.tries_whole, bundle.ledger_whole, bundle.trusted) == ([], True, True, True)
    assert len(bundle.load_tries) + len(bundle.drain) == len(bundle.tries) == 24 + 2 + 2 * 34


def test_columns_are_decoded(folder: Path) -> None:
    bundle = Bundle.load(folder)
    first = bundle.tries.iloc[0]
    assert (first["worker"], first["sku"], first["user_id"], first["outcome"]) == ("0", "sku-1", "u0", "unknown")
    assert pd.isna(first["returned_ns"])
    assert len(first["key"]) == 32
    sold = bundle.tries[bundle.tries["outcome"] == "sold"]
    assert bundle.ledger is not None
    assert set(sold["key"]) <= set(bundle.ledger["key"])
    assert list(bundle.reads["cache"]) == ["hit"]
    assert str(bundle.tries["server_us"].dtype) == "Int32"


def test_a_copy_under_another_name_is_as_good(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "renamed")
    assert Bundle.load(copy).problems == []


def test_every_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    for path in evidence_files(folder):
        if path.name == TRIAL:
            continue
        copy = shutil.copytree(folder, tmp_path / "copy")
        (copy / path.name).unlink()
        assert f"{path.name} is missing" in Bundle.load(copy).problems
        shutil.rmtree(copy)


def test_every_altered_file_is_named_and_not_believed(folder: Path, tmp_path: Path) -> None:
    for path in evidence_files(folder):
        copy = shutil.copytree(folder, tmp_path / "copy")
        content = bytearray(path.read_bytes())
        content[content.index(b"1") if path.suffix == ".json" else len(content) // 2] ^= 1
        (copy / path.name).write_bytes(content)
        if path.name == TRIAL:
            (copy / path.name).write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
        bundle = Bundle.load(copy)
        assert any(problem.startswith(f"{path.name} was altered") for problem in bundle.problems), path.name
        assert not (bundle.trusted and bundle.tries_whole and bundle.ledger_whole and bundle.stock) or path.name in (
            "ledger-stated.parquet",
            *(f"reads-{worker}.parquet" for worker in ("0", "1", "drain")),
        )
        shutil.rmtree(copy)


def test_a_truncated_file_is_named(folder: Path) -> None:
    path = folder / "tries-0.parquet"
    path.write_bytes(path.read_bytes()[:200])
    bundle = Bundle.load(folder)
    assert any(problem.startswith("tries-0.parquet was altered: it has 200 bytes") for problem in bundle.problems)
    assert set(bundle.tries["worker"]) == {"1", "drain"}


def test_a_truncated_file_with_a_matching_manifest_is_named(folder: Path) -> None:
    for name in ("tries-0.parquet", "ledger.parquet"):
        path = folder / name
        path.write_bytes(path.read_bytes()[:200])
    for name in ("stock.json",):
        (folder / name).write_text("{")
    rewrite_manifest(folder)
    bundle = Bundle.load(folder)
    for name in ("tries-0.parquet", "ledger.parquet", "stock.json"):
        assert any(problem.startswith(f"{name} can't be read") for problem in bundle.problems), name
    assert not bundle.tries_whole
    assert not bundle.ledger_whole


def test_a_file_that_was_added_is_named(folder: Path) -> None:
    shutil.copy(folder / "tries-0.parquet", folder / "tries-7.parquet")
    (folder / "report.html").write_text("made from the evidence, so no part of it")
    (folder / ".DS_Store").write_text("left by a file browser")
    assert Bundle.load(folder).problems == ["tries-7.parquet is not in manifest.json: it was added afterwards"]


def test_without_manifest_nothing_is_believed(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    bundle = Bundle.load(folder)
    assert bundle.problems[0].startswith("manifest.json is missing")
    assert (bundle.trusted, bundle.ledger, bundle.stock, len(bundle.tries)) == (False, None, None, 0)


def test_a_manifest_that_is_no_json_is_named(folder: Path) -> None:
    (folder / MANIFEST).write_text("not JSON")
    assert Bundle.load(folder).problems[0].startswith("manifest.json can't be read")


@pytest.mark.parametrize("change", [without_first_row, first_sold_becomes_refused])
def test_changed_tries_are_found_behind_a_matching_manifest(
    folder: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    """The worker stated the hash of its own records."""
    edit_parquet(folder / "tries-0.parquet", change)
    rewrite_manifest(folder)
    bundle = Bundle.load(folder)
    assert len(bundle.problems) == 1
    assert bundle.problems[0].startswith("tries-0.parquet")
    assert not bundle.tries_whole
    assert set(bundle.tries["worker"]) == {"1", "drain"}


def test_reordered_tries_are_found_behind_a_matching_manifest(folder: Path) -> None:
    edit_parquet(folder / "tries-0.parquet", lambda table: table.take(list(range(table.num_rows))[::-1]))
    rewrite_manifest(folder)
    assert "tries-0.parquet is not what worker 0 wrote: the hash of its rows differs" in Bundle.load(folder).problems


def test_the_files_of_two_trials_do_not_mix(folder: Path, tmp_path: Path) -> None:
    other = BundleBuilder.honest(tmp_path / "other", seed=1).build()
    for name in ("tries-0.parquet", "ledger.parquet"):
        shutil.copy(other / name, folder / name)
    rewrite_manifest(folder)
    bundle = Bundle.load(folder)
    assert "tries-0.parquet belongs to another trial or worker" in bundle.problems
    assert "ledger.parquet belongs to another trial" in bundle.problems
    assert bundle.ledger is None


def test_a_strangers_tries_are_named(folder: Path) -> None:
    table = pq.read_table(folder / "tries-0.parquet")
    metadata = {**table.schema.metadata, b"flashbench.worker": b"7"}
    pq.write_table(table.replace_schema_metadata(metadata), folder / "tries-7.parquet")
    rewrite_manifest(folder)
    assert "tries-7.parquet is of worker 7, which this trial did not have" in Bundle.load(folder).problems


def test_a_trial_that_was_never_collected_has_no_whole_ledger(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    moments = sale.trial().moments.model_copy(update={"collected_ns": None})
    sale.trial_fields["moments"] = moments
    assert not Bundle.load(sale.build()).ledger_whole


@pytest.mark.parametrize("content", [b"", b"not JSON", b"{}", b"[1, 2]", b"\xff\xfe\x00", b'{"schema_version": 1}'])
def test_a_trial_document_that_can_not_be_read_is_one_sentence(folder: Path, content: bytes) -> None:
    (folder / TRIAL).write_bytes(content)
    with pytest.raises(UnreadableTrialError, match=r"^trial\.json is not a trial's document: \S.*$"):
        Bundle.load(folder)


def test_a_trial_without_its_document_is_one_sentence(folder: Path) -> None:
    (folder / TRIAL).unlink()
    with pytest.raises(UnreadableTrialError, match=r"^trial\.json is missing$"):
        Bundle.load(folder)


def test_a_sale_that_names_a_sku_twice_is_refused(folder: Path) -> None:
    document = json.loads((folder / TRIAL).read_text())
    document["sale"]["items"][1]["sku"] = "sku-1"
    (folder / TRIAL).write_text(json.dumps(document))
    with pytest.raises(UnreadableTrialError, match="names one SKU twice"):
        Bundle.load(folder)


def test_tries_of_a_sku_that_was_not_on_sale_are_not_believed(folder: Path) -> None:
    document = json.loads((folder / TRIAL).read_text())
    del document["sale"]["items"][1]
    (folder / TRIAL).write_text(json.dumps(document))
    rewrite_manifest(folder)
    bundle = Bundle.load(folder)
    assert "tries name a SKU that the sale does not have" in bundle.problems
    assert not bundle.tries_whole


@pytest.mark.parametrize("name", ["nothing-here", "file"])
def test_a_folder_that_is_no_trials_is_the_users_mistake(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a trial's folder"):
        Bundle.load(tmp_path / name)


def test_what_a_worker_says_of_itself_is_a_problem(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    sale.last_words["1"] = {"problems": ("an exception was not handled",)}
    bundle = Bundle.load(sale.build())
    assert bundle.problems == ["an exception was not handled"]
    assert bundle.tries_whole


def test_stamps_of_another_clock_can_not_show_what_was_before_what(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    sale.last_words["1"] = {"own_clock": True}
    bundle = Bundle.load(sale.build())
    assert bundle.problems == ["worker 1 ran on another machine, whose clock is not comparable"]
    assert bundle.tries_whole
    assert not bundle.trial.one_clock


def test_a_ledger_that_nobody_finished_reading_is_not_whole(tmp_path: Path) -> None:
    assert not Bundle.load(BundleBuilder.honest(tmp_path / "trial", ledger_source="none").build()).ledger_whole
