"""Arming the app's failpoints, as whoever injects a fault does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def arm(folder: Path, point: str, action: str, **more: Any) -> None:
    """Have the next purchase that comes to the point take it. Whole or not at all: it may be taken at any moment."""
    draft = folder / f".{point}"
    draft.write_text(json.dumps({"action": action, **more}))
    draft.rename(folder / point)


def taken(folder: Path, point: str) -> list[int]:
    """The processes that have taken the point."""
    return [int(path.name.split("-")[1]) for path in folder.glob(f"{point}.hit-*")]
