"""What the process that opened the sale tells the processes that load it. Crosses the wire as plain values."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashbench.target.contract import Contract, ReferenceContract
from flashbench.target.target_file import TargetFile, TemplateContract

MARK = ".open"  # holds the briefing's nonce, so that a worker can tell whether it sees the very same folder


@dataclass(frozen=True, slots=True)
class Briefing:
    """A trial as a load worker needs it. ``attempts`` 0: until the run ends; ``clock`` names the monotonic clock."""

    trial: str
    nonce: str
    folder: str
    clock: str
    sale_id: str
    skus: list[str]
    quantity: int
    most_quantity: int
    tabs: int
    seed: int
    attempts: int
    think_ms: float
    twin_share: float
    read_share: float
    arrivals_per_s: float  # of one user
    target: dict[str, Any]  # the target file's content; empty for the reference app's contract

    def packed(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def unpacked(cls, values: dict[str, Any]) -> Briefing:
        return cls(**values)

    def contract(self) -> Contract:
        """How the target is spoken to."""
        if not self.target:
            return ReferenceContract()
        target = TargetFile.model_validate(self.target)
        return TemplateContract(target, {sku: target.sku_of(n, sku, self.sale_id) for n, sku in enumerate(self.skus)})

    def mark_folder(self) -> None:
        """Leave the nonce in the folder."""
        (Path(self.folder) / MARK).write_text(self.nonce)

    def unmark_folder(self) -> None:
        (Path(self.folder) / MARK).unlink(missing_ok=True)

    def sees_folder(self) -> bool:
        """Whether this process can write to the very folder that the briefing means."""
        try:
            return (Path(self.folder) / MARK).read_text() == self.nonce
        except OSError:
            return False


def new_nonce() -> str:
    return secrets.token_hex(16)


def clock_name() -> str:
    """Names the machine's monotonic clock: processes with the same name share it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import platform

        return platform.node()
