"""If these fail, half a file is taken for a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashbench.evidence.bundle import Bundle
from flashbench.evidence.whole import publish
from tests.bundles import BundleBuilder


def test_the_file_appears_when_it_is_whole_and_the_result_is_handed_on(tmp_path: Path) -> None:
    target = tmp_path / "a.json"

    def write(draft: Path) -> int:
        written = draft.write_text("{}")
        assert not target.exists()
        return written

    assert publish(target, write) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_breaks_off_leaves_the_file_as_it_was_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("before")

    def write(draft: Path) -> None:
        draft.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        publish(target, write)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "before")]


def test_a_draft_of_somebody_who_judges_at_the_same_time_is_no_forgery(tmp_path: Path) -> None:
    folder = BundleBuilder.honest(tmp_path / "trial").build()
    (folder / "verdict.json.draft").write_text("{")
    assert Bundle.load(folder).problems == []
