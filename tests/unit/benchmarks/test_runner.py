"""If these fail, a run is taken up with other code, or ends over a file that somebody cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plan import PlannedRun
from benchmarks.runner import _outcome, _plugin_hashes
from benchmarks.suite import Scenario
from flashbench.catalogue import ROOT, Contender
from flashbench.evidence.documents import VERDICT

RUN = PlannedRun("t1", Contender("row_lock", ""), Scenario("flash_sale", "calm", Path("x.py")), 7)


def plug_in(folder: Path, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "strategy.py").write_text(text)
    return f"{folder / 'strategy.py'}:Mine"


def test_every_plug_in_is_told_from_others_whose_file_has_the_same_name(tmp_path: Path) -> None:
    mine = plug_in(tmp_path / "mine", "one")
    words = [mine, *(f"{ROOT}/benchmarks/controls/{name}/strategy.py:C" for name in ("naive", "half_committed"))]
    before = _plugin_hashes(words)
    assert len(before) == 3
    assert "benchmarks/controls/naive/strategy.py" in before

    plug_in(tmp_path / "mine", "two")
    after = _plugin_hashes(words)

    assert {name for name in before if before[name] != after[name]} == {"mine/strategy.py"}


def test_a_plug_in_is_another_when_what_helps_it_is_changed(tmp_path: Path) -> None:
    mine, helper = plug_in(tmp_path / "mine", "one"), tmp_path / "mine" / "hold.lua"
    helper.write_text("return 1")
    before = _plugin_hashes([mine])
    helper.write_text("return 2")
    assert _plugin_hashes([mine]) != before


def test_of_two_plug_ins_of_one_name_neither_is_left_out(tmp_path: Path) -> None:
    words = [plug_in(tmp_path / where / "mine", "one") for where in "ab"]
    before = _plugin_hashes(words)
    for where in "ab":
        plug_in(tmp_path / where / "mine", "two")
        assert _plugin_hashes(words) != before
        plug_in(tmp_path / where / "mine", "one")
    assert _plugin_hashes(words) == before


@pytest.mark.parametrize("content", [None, b"", b'{"trial": "t1"'])
def test_a_verdict_that_was_cut_short_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / VERDICT).write_bytes(content)
    assert _outcome(RUN, tmp_path, Path("t1.log")) == "row_lock, calm, seed 7: no verdict; see t1.log"
