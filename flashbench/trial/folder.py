"""The folder in which a trial leaves its evidence."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from flashbench.errors import UsageError

PROBE_BYTES = 64 * 1024


def check_writable(parent: Path) -> Path:
    """``parent``, absolute; UsageError if evidence can't be written there (read-only, full, a file in the way).

    Leaves nothing behind: a folder that had to be made is removed again.
    """
    parent = parent.expanduser().absolute()
    probe = parent / f".probe-{uuid.uuid4().hex}"
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody else has begun to use it
                for folder in made:
                    folder.rmdir()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(
            f"evidence can't be written to {parent} ({reason}): name another folder with --evidence."
        ) from error
    return parent


def make_folder(parent: Path, name: str) -> Path:
    """A new, empty folder called ``name``, or ``name-2`` and so on if that is taken."""
    for number in range(1, 10_000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(
                f"the trial's folder {folder} can't be made ({reason}): choose another --evidence."
            ) from error
        return folder
    raise UsageError(f"{parent} holds too many trials called {name}: name another folder with --evidence.")
