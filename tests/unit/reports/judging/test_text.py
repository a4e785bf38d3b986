"""What the terminal shows at the end of a run: enough to act on without opening a file."""

from __future__ import annotations

from pathlib import Path

from reports.judging import judge
from reports.judging.text import describe, table
from tests.bundles import BundleBuilder


def test_a_pass_shows_its_numbers(tmp_path: Path) -> None:
    text = describe(judge(BundleBuilder.honest(tmp_path / "trial", unknowns=2).build()))
    lines = text.splitlines()
    assert lines[0] == "PASS  row_lock, trial"
    assert lines[1] == "  tier C: the clients' records, the ledger and the stores"
    assert "  sku-1: 4 acknowledged <= 5 in the ledger <= 4 + 2 unknown" in lines
    assert "  ok      I1 no oversell            5 sold of 5, per SKU never more than there was" in lines
    assert "Why it is not proven" not in text
    assert max(len(line) for line in lines) < 200


def test_a_fail_shows_who_did_it(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    lost = sale.ledger.pop(1)
    lines = describe(judge(sale.build())).splitlines()
    assert lines[0].startswith("FAIL  row_lock")
    assert any(line.startswith("  BROKEN  I2 nothing lost") for line in lines)
    start = lines.index("I2 nothing lost: 1 in all, for example")
    assert lines[start + 1] == "  tries"
    assert lost.key in lines[start + 3]


def test_doubts_and_suppressed_figures_are_told(tmp_path: Path) -> None:
    fingerprint = {"machine": {"scratch_filesystem": "tmpfs"}}
    sale = BundleBuilder.honest(tmp_path / "trial", problems=("a buyer crashed",), fingerprint=fingerprint)
    text = describe(judge(sale.build()))
    assert text.startswith("UNPROVEN, measurement INVALID  row_lock, trial\n")
    assert "Why it is not proven:\n  - a buyer crashed\n" in text
    assert (
        "The measurement is INVALID (figures are suppressed):\n  - the database was on a filesystem in memory" in text
    )


def test_a_control_says_whether_it_was_caught(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", expectation="fail:I1", control=True)
    assert "(expected fail:I1: not caught)" in describe(judge(sale.build()))
    sale.folder = tmp_path / "caught"
    sale.change_row(0, quantity=7)
    assert "(expected fail:I1: caught)" in describe(judge(sale.build()))


def test_a_trial_that_can_not_be_read_is_described_all_the_same(tmp_path: Path) -> None:
    folder = BundleBuilder.honest(tmp_path / "trial").build()
    (folder / "trial.json").unlink()
    assert "  - trial.json is missing" in describe(judge(folder))


def test_tables_are_aligned_and_show_what_is_absent() -> None:
    rows = [{"user": "u1", "quantity": 1, "order": None}, {"user": "u100", "quantity": 20, "order": "x" * 60}]
    assert table(rows) == [
        "    user  quantity  order",
        "    u1           1  -",
        "    u100        20  " + "x" * 43 + "…",
    ]
    assert table([]) == []
