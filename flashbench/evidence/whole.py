"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from flashbench.evidence.documents import DRAFT

Result = TypeVar("Result")


def publish(target: Path, write: Callable[[Path], Result]) -> Result:
    """Let ``write`` make a draft beside ``target``, then rename it, which is atomic; what ``write`` returned.

    Whatever ``write`` raises is raised, and the draft is gone; if the process is killed, it stays.
    """
    draft = target.with_name(target.name + DRAFT)
    try:
        result = write(draft)
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return result


def publish_text(target: Path, text: str) -> None:
    """A text as a file that is there whole or not at all. OSError if it can't be written."""
    publish(target, lambda draft: draft.write_text(text))
