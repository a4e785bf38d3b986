"""If these fail, a run is taken up with other code, or ends over a file that somebody cut short."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.plan import PlannedRun
from benchmarks.resuming import suite_in
from benchmarks.runner import _outcome, _plugin_hashes, _Side
from benchmarks.suite import Scenario
from flashbench.catalogue import ROOT, Contender
from flashbench.evidence.documents import VERDICT, SuiteDocument

RUN = PlannedRun("t1", Contender("row_lock", ""), Scenario("flash_sale", "calm", Path("x.py")), 7)


def plug_in(folder: Path, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "strategy.py").write_text(text)
    return f"{folder / 'strategy.py'}:Mine"


def test_every_plug_in_is_told_from_others_whose_file_has_the_same_name(tmp_path: Path) -> None:
    mine = plug_in(tmp_path / "mine", "one")
    words = [mine, *(f"{ROOT}/benchmarks/controls/{name}/strategy.py:C" for name in ("naive", "half_committed"))]
    before = _plugin_hashes(words, ROOT)
    assert len(before) == 3
    assert "benchmarks/controls/naive/strategy.py" in before

    plug_in(tmp_path / "mine", "two")
    after = _plugin_hashes(words, ROOT)

    assert {name for name in before if before[name] != after[name]} == {"mine/strategy.py"}


def test_a_plug_in_is_another_when_what_helps_it_is_changed(tmp_path: Path) -> None:
    mine, helper = plug_in(tmp_path / "mine", "one"), tmp_path / "mine" / "hold.lua"
    helper.write_text("return 1")
    before = _plugin_hashes([mine], ROOT)
    helper.write_text("return 2")
    assert _plugin_hashes([mine], ROOT) != before


def test_what_can_not_be_read_beside_a_plug_in_is_no_part_of_it(tmp_path: Path) -> None:
    mine = plug_in(tmp_path / "mine", "one")
    before = _plugin_hashes([mine], ROOT)
    (tmp_path / "mine" / ".#strategy.py").symlink_to("nowhere")
    (tmp_path / "mine" / "folder.py").mkdir()
    assert _plugin_hashes([mine], ROOT) == before


def test_another_checkouts_plug_in_goes_by_the_same_name(tmp_path: Path) -> None:
    other = plug_in(tmp_path / "benchmarks" / "controls" / "naive", "one")
    assert list(_plugin_hashes([other], tmp_path)) == ["benchmarks/controls/naive/strategy.py"]


def test_of_two_plug_ins_of_one_name_neither_is_left_out(tmp_path: Path) -> None:
    words = [plug_in(tmp_path / where / "mine", "one") for where in "ab"]
    before = _plugin_hashes(words, ROOT)
    for where in "ab":
        plug_in(tmp_path / where / "mine", "two")
        assert _plugin_hashes(words, ROOT) != before
        plug_in(tmp_path / where / "mine", "one")
    assert _plugin_hashes(words, ROOT) == before


@pytest.mark.parametrize("begun", [(), ("the code was changed earlier",)])
def test_code_that_changes_under_a_run_is_remembered(tmp_path: Path, begun: tuple[str, ...]) -> None:
    side: Any = object.__new__(_Side)
    side.request = SimpleNamespace(folder=tmp_path)
    side.document = SuiteDocument(suite="mine", trials=(), problems=begun, fingerprint={"work": {"code": "other"}})
    side.end(finished=False)

    found = suite_in(tmp_path)

    assert found is not None
    assert found.interrupted
    assert found.problems[:-1] == begun
    assert "was changed while the suite ran" in found.problems[-1]


@pytest.mark.parametrize("content", [None, b"", b'{"trial": "t1"'])
def test_a_verdict_that_was_cut_short_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / VERDICT).write_bytes(content)
    assert _outcome(RUN, tmp_path, Path("t1.log")) == "row_lock, calm, seed 7: no verdict; see t1.log"
