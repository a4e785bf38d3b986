"""Random damage to evidence, before or after sealing, ends in a verdict, never in a traceback, and never in a lie."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from flashbench.evidence.documents import MANIFEST, TRIAL, ManifestDocument
from flashbench.evidence.manifest import entry_of, evidence_files
from flashbench.evidence.sealing import seal
from flashbench.vocabulary import Verdict
from reports.judging import judge
from reports.judging.text import describe
from tests.bundles import BundleBuilder

ROUNDS = 60


@pytest.fixture
def unsealed(tmp_path: Path) -> Path:
    sale = BundleBuilder.honest(tmp_path / "trial", skus=2, unknowns=2, twins=2, counter=True, limit=2, users=8)
    sale.add_read()
    return sale.build(sealed=False)


def damage(path: Path, chance: random.Random) -> None:
    """Cut, flip a bit, append, or overwrite."""
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content))
    match chance.randrange(4):
        case 0:
            del content[at:]
        case 1:
            content[at] ^= 1 << chance.randrange(8)
        case 2:
            content += chance.randbytes(chance.randrange(1, 200))
        case _:
            content[at : at + chance.randrange(20)] = chance.randbytes(21)
    path.write_bytes(bytes(content))


def damaged_copy(folder: Path, to: Path, chance: random.Random, spare: str = "") -> Path:
    copy = shutil.copytree(folder, to)
    damage(
        chance.choice([path for path in sorted(copy.iterdir()) if path.stat().st_size and path.name != spare]), chance
    )
    return copy


def test_damage_after_sealing_never_passes_and_never_accuses(unsealed: Path, tmp_path: Path) -> None:
    seal(unsealed)
    chance = random.Random(0)
    for number in range(ROUNDS):
        verdict = judge(damaged_copy(unsealed, tmp_path / str(number), chance))
        assert (verdict.verdict, bool(verdict.reasons)) == (Verdict.UNPROVEN, True)
        assert describe(verdict)


def test_damage_behind_a_matching_manifest_is_never_a_traceback(unsealed: Path, tmp_path: Path) -> None:
    seal(unsealed)
    chance = random.Random(1)
    for number in range(ROUNDS):
        copy = damaged_copy(unsealed, tmp_path / str(number), chance, spare=MANIFEST)
        entries = tuple(entry_of(path) for path in evidence_files(copy))
        (copy / MANIFEST).write_text(ManifestDocument(files=entries).to_json())
        assert describe(judge(copy))


def test_damage_before_sealing_is_never_a_traceback(unsealed: Path, tmp_path: Path) -> None:
    """A disk that fills up, a process killed in mid-write."""
    chance = random.Random(2)
    for number in range(ROUNDS):
        copy = damaged_copy(unsealed, tmp_path / str(number), chance, spare=TRIAL)
        seal(copy)
        assert describe(judge(copy))


def test_records_that_mean_nothing_are_dropped_and_named(unsealed: Path) -> None:
    path = unsealed / "tries-0.bin"
    path.write_bytes(b"\xff" * path.stat().st_size)
    seal(unsealed)
    verdict = judge(unsealed)
    assert verdict.verdict is Verdict.UNPROVEN
    assert any("tries-0.bin holds records that mean nothing" in reason for reason in verdict.reasons)
