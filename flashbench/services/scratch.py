"""The folder in which a stack lives, and the sweeping of folders whose owner died without a chance to tidy.

A live supervisor holds an exclusive lock on ``owner.lock``; whoever can take that lock knows that the owner is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

PREFIX = "flashbench-"
LOCK = "owner.lock"


class Scratch:
    """A folder of its own below TMPDIR, gone after ``remove()``."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock: IO[bytes] = (self.path / LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def folder(self, name: str) -> Path:
        """A sub-folder, made."""
        path = self.path / name
        path.mkdir(mode=0o700)
        return path

    def remove(self) -> None:
        """Delete the folder; the lock goes last, so that no sweeper meets a half-deleted folder of ours."""
        _remove(self.path)
        self._lock.close()


def sweep(parent: Path | None = None) -> list[Path]:
    """Remove scratch folders of dead supervisors; returns those removed. Folders of the living are not touched."""
    removed = []
    for path in (parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        try:
            lock = (path / LOCK).open("rb")
        except OSError:
            continue  # not ours, or just being made
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if path.stat().st_uid == os.geteuid():
                _remove(path)
                removed.append(path)
    return removed


def _remove(folder: Path) -> None:
    """All of it, the lock last: a removal that is cut short leaves a folder that can be swept."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def filesystem_of(path: Path) -> str:
    """The type of the filesystem that holds ``path``, such as ``ext4`` or ``tmpfs``; from /proc/self/mountinfo."""
    best, kind = "", "unknown"
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return kind
    real = str(path.resolve())
    for line in mounts.read_text().splitlines():
        fields = line.split()
        mount_point = fields[4].replace("\\040", " ")
        inside = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, fields[fields.index("-") + 1]
    return kind
