"""A worker on another machine hands in all of its evidence or none that counts."""

from pathlib import Path
from typing import Any

from flashbench.load import shipping
from flashbench.load.briefing import Briefing


def briefing(folder: Path) -> Briefing:
    return Briefing("t", "nonce", str(folder), "clock", "s", ["sku-1"], 1, 0, 1, 1, 0, 0.0, 0.0, 0.0, 1.0, {})


def shipped(source: Path, at: Briefing) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    shipping.ship(source, "3", at, lambda _, piece: sent.append(piece))
    return sent


def test_files_arrive_whole_and_the_closing_last(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    content = {
        "tries-3.bin": bytes(range(256)) * 3000,
        "reads-3.bin": b"",
        "worker-3.closed.json": b"{}",
    }
    for name, data in content.items():
        (here / name).write_bytes(data)
    pieces = shipped(here, briefing(there))
    assert pieces[-1]["name"] == "worker-3.closed.json"
    for piece in pieces[:-1]:
        shipping.receive(briefing(there), piece)
    assert not (there / "worker-3.closed.json").exists()
    shipping.receive(briefing(there), pieces[-1])
    assert {path.name: path.read_bytes() for path in there.iterdir()} == content


def test_an_unfinished_file_does_not_appear_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "tries-3.bin").write_bytes(bytes(shipping.PIECE_BYTES + 1))
    there = tmp_path / "there"
    there.mkdir()
    shipping.receive(briefing(there), shipped(tmp_path, briefing(there))[0])
    assert not (there / "tries-3.bin").exists()


def test_pieces_of_another_trial_and_odd_names_are_dropped(tmp_path: Path) -> None:
    piece = {"nonce": "nonce", "name": "tries-3.bin", "offset": 0, "bytes": b"x", "last": True}
    for change in ({"nonce": "other"}, {"name": "../tries-3.bin"}, {"name": "trial.json"}, {"name": "tries-x.bin"}):
        shipping.receive(briefing(tmp_path), {**piece, **change})
    assert list(tmp_path.iterdir()) == []
    shipping.receive(briefing(tmp_path), piece)
    assert (tmp_path / "tries-3.bin").read_bytes() == b"x"


def test_only_the_very_same_folder_counts_as_shared(tmp_path: Path) -> None:
    at = briefing(tmp_path)
    assert not at.sees_folder()
    at.mark_folder()
    assert at.sees_folder()
    assert Briefing.unpacked({**at.packed(), "nonce": "other"}).sees_folder() is False
    at.unmark_folder()
    assert list(tmp_path.iterdir()) == []
