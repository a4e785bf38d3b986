"""The checksums of a sealed trial: every file but the manifest itself and what is derived from the evidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flashbench.evidence.documents import DERIVED, DRAFT, MANIFEST, FileEntry, ManifestDocument

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a folder differs from its manifest. ``distrusted`` names files whose content proves nothing."""

    problems: tuple[str, ...]
    distrusted: frozenset[str]


def evidence_files(folder: Path) -> list[Path]:
    """The files that a manifest must list, by name. Neither drafts nor some tool's hidden files are of the trial."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_evidence(path))


def _is_evidence(path: Path) -> bool:
    return not (path.name == MANIFEST or path.name in DERIVED or path.name.startswith(".") or path.suffix == DRAFT)


def entry_of(path: Path, rows: int | None = None) -> FileEntry:
    """Size and SHA-256 of one file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return FileEntry(name=path.name, sha256=digest.hexdigest(), bytes=path.stat().st_size, rows=rows)


def compare(folder: Path) -> Comparison:
    """Check every file against ``manifest.json``; each difference is one sentence that names the file."""
    present = {path.name: path for path in evidence_files(folder)}
    try:
        manifest = ManifestDocument.from_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return Comparison(
            (f"{MANIFEST} is missing: the evidence was never sealed, or not all of it was copied",), frozenset(present)
        )
    except (OSError, ValidationError):
        return Comparison((f"{MANIFEST} can't be read, so nothing vouches for the other files",), frozenset(present))
    problems: list[str] = []
    distrusted: set[str] = set()
    for entry in manifest.files:
        path = present.pop(entry.name, None)
        if path is None:
            problems.append(f"{entry.name} is missing")
            continue
        trouble = _trouble(path, entry)
        if trouble:
            problems.append(trouble)
            distrusted.add(entry.name)
    for name in present:
        problems.append(f"{name} is not in {MANIFEST}: it was added afterwards")
        distrusted.add(name)
    return Comparison(tuple(problems), frozenset(distrusted))


def _trouble(path: Path, entry: FileEntry) -> str | None:
    try:
        found = entry_of(path)
    except OSError as error:
        return f"{entry.name} can't be read ({error.strerror})"
    if found.bytes != entry.bytes:
        return f"{entry.name} was altered: it has {found.bytes} bytes, {entry.bytes} when it was sealed"
    return f"{entry.name} was altered since it was sealed" if found.sha256 != entry.sha256 else None
