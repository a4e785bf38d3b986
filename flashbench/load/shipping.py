"""How a worker on another machine hands in its evidence: in pieces, over Locust's own messages.

The closing is sent last, so a worker whose closing arrived has handed in everything; silence leaves it missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flashbench.evidence.documents import DRAFT
from flashbench.load.briefing import Briefing

PIECE = "flashbench:piece"
PIECE_BYTES = 256 * 1024

_NAME = re.compile(r"(tries|reads)-\d{1,6}\.bin|worker-\d{1,6}\.closed\.json")


def ship(folder: Path, label: str, briefing: Briefing, send: Callable[[str, dict[str, Any]], None]) -> None:
    """Send a closed worker's files, the closing last."""
    for name in (f"tries-{label}.bin", f"reads-{label}.bin", f"worker-{label}.closed.json"):
        path = folder / name
        if not path.exists():
            continue
        content = path.read_bytes()
        for offset in range(0, max(1, len(content)), PIECE_BYTES):
            piece = content[offset : offset + PIECE_BYTES]
            last = offset + PIECE_BYTES >= len(content)
            send(PIECE, {"nonce": briefing.nonce, "name": name, "offset": offset, "bytes": piece, "last": last})


def receive(briefing: Briefing, piece: dict[str, Any]) -> None:
    """Put a piece in its place. A file appears under its name when it is whole; strangers' pieces are dropped."""
    name = str(piece["name"])
    if piece["nonce"] != briefing.nonce or not _NAME.fullmatch(name):
        return
    draft = Path(briefing.folder) / f"{name}{DRAFT}"
    with draft.open("r+b" if piece["offset"] else "wb") as file:
        file.seek(piece["offset"])
        file.write(piece["bytes"])
    if piece["last"]:
        draft.replace(Path(briefing.folder) / name)
