"""Sealing may be killed between any two of its steps, and never makes bad evidence look good."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flashbench.errors import UsageError
from flashbench.evidence.apart import Sealer
from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import MANIFEST, TRIAL, ManifestDocument, TrialDocument
from flashbench.evidence.sealing import seal
from tests.bundles import BundleBuilder
from tests.waiting import until


class KilledError(Exception):
    """Stands for kill -9 after a step."""


def unsealed(folder: Path) -> Path:
    sale = BundleBuilder.honest(folder, unknowns=2, twins=2, counter=True)
    sale.add_read()
    return sale.build(sealed=False)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def steps_of(folder: Path) -> list[str]:
    steps: list[str] = []
    seal(unsealed(folder), after_step=steps.append)
    return steps


def test_only_sealed_files_are_left(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    seal(folder)
    kinds = {path.suffix for path in folder.iterdir()}
    assert kinds == {".parquet", ".json"}
    manifest = ManifestDocument.from_json((folder / MANIFEST).read_bytes())
    assert {entry.name for entry in manifest.files} == {path.name for path in folder.iterdir()} - {MANIFEST}
    rows = {entry.name: entry.rows for entry in manifest.files}
    assert (rows["tries-drain.parquet"], rows["ledger.parquet"], rows["stock.json"]) == (34, 5, None)


def test_killed_after_any_step_a_second_sealing_finishes_the_work(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "trial"
    steps = steps_of(whole)
    assert len(steps) > 10
    for number, last in enumerate(steps):
        folder = unsealed(tmp_path / str(number) / "trial")

        def die(step: str, last: str = last) -> None:
            if step == last:
                raise KilledError

        with pytest.raises(KilledError):
            seal(folder, after_step=die)
        seal(folder)
        assert contents(folder) == contents(whole), f"killed after {last!r}"
        assert Bundle.load(folder).problems == []
        shutil.rmtree(folder)


def test_a_half_written_draft_is_not_taken_for_evidence(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    (folder / "tries-0.parquet.draft").write_bytes(b"PAR1 and then the power went")
    seal(folder)
    assert not list(folder.glob("*.draft"))
    assert Bundle.load(folder).problems == []


def test_problems_survive_a_kill_and_are_said_once(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    with (folder / "tries-0.bin").open("ab") as file:
        file.write(b"torn")

    def die(step: str) -> None:
        if step == "removed tries-0.bin":
            raise KilledError

    with pytest.raises(KilledError):
        seal(folder, after_step=die)
    seal(folder)
    problems = TrialDocument.from_json((folder / TRIAL).read_bytes()).problems
    assert problems == ("tries-0.bin ends in a torn record: 4 bytes were dropped",)


def test_a_torn_tail_costs_one_record_and_is_said(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    path = folder / "tries-1.bin"
    path.write_bytes(path.read_bytes()[:-3])
    seal(folder)
    problems = TrialDocument.from_json((folder / TRIAL).read_bytes()).problems
    assert "tries-1.bin ends in a torn record: 136 bytes were dropped" in problems
    assert "tries-1.bin holds 12 records, worker 1 wrote 13" in problems
    assert not Bundle.load(folder).tries_whole


def test_a_record_changed_before_sealing_is_said(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    path = folder / "tries-1.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    seal(folder)
    assert "tries-1.bin is not what worker 1 wrote: its hash differs" in Bundle.load(folder).trial.problems


def test_a_worker_that_was_killed_leaves_its_tries_but_is_lost(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    sale.without_closing.add("1")
    bundle = Bundle.load(sale.build())
    assert "worker 1 was lost: it left no closing, so some of its tries may be missing" in bundle.problems
    assert len(bundle.tries) == len(sale.tries)
    assert not bundle.tries_whole


def test_a_line_that_is_no_order_is_dropped_and_said(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    with (folder / "ledger.ndjson").open("a") as file:
        file.write('{"order_id": "x", "sku"')
    seal(folder)
    bundle = Bundle.load(folder)
    assert bundle.ledger is not None
    assert len(bundle.ledger) == 5
    assert not bundle.ledger_whole
    assert bundle.trial.problems == ("ledger.ndjson holds 1 lines that are no ledger rows",)


def test_an_empty_ledger_is_a_ledger(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", stock=0)
    bundle = Bundle.load(sale.build())
    assert bundle.ledger is not None
    assert bundle.ledger.empty
    assert bundle.ledger_whole


def test_sealing_again_can_not_cover_up_a_change(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    seal(folder)
    (folder / "stock.json").write_text((folder / "stock.json").read_text().replace('"initial": 5', '"initial": 9'))
    seal(folder)
    assert "stock.json was altered since it was sealed" in Bundle.load(folder).problems


def test_a_folder_that_is_no_trials_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a trial's folder"):
        seal(tmp_path)
    with pytest.raises(UsageError, match="not a trial's folder"):
        Sealer()(tmp_path)


def test_sealing_apart_does_the_same(tmp_path: Path) -> None:
    here, apart = tmp_path / "here" / "trial", tmp_path / "apart" / "trial"
    seal(unsealed(here))
    Sealer()(unsealed(apart))
    assert contents(here) == contents(apart)


def test_a_process_that_waits_for_its_folder_seals_it_as_well(tmp_path: Path) -> None:
    here, apart = tmp_path / "here" / "trial", tmp_path / "apart" / "trial"
    sealer = Sealer()
    sealer.get_ready()
    sealer.get_ready()
    seal(unsealed(here))
    sealer(unsealed(apart))
    assert contents(here) == contents(apart)


WAITS_IN_VAIN = """
import time
from pathlib import Path
from flashbench.evidence.apart import Apart
apart = Apart("flashbench.evidence.sealing")
apart.get_ready()
print("waiting", flush=True)
time.sleep(60)
"""


def test_a_process_that_waits_for_its_folder_does_not_outlive_the_one_that_would_name_it() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS_IN_VAIN], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        (waiting,) = psutil.Process(starter.pid).children()
        starter.kill()
    assert until(lambda: not waiting.is_running() or waiting.status() == psutil.STATUS_ZOMBIE)


def test_sealed_files_may_be_read_by_others(tmp_path: Path) -> None:
    folder = unsealed(tmp_path / "trial")
    seal(folder)
    assert all(path.stat().st_mode & stat.S_IRGRP for path in folder.iterdir())
