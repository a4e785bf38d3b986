"""What the telemetry process is told to watch."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Plan(BaseModel):
    """Which processes to watch, as ``Processes`` wants them, and where the app's workers keep their gauges.

    ``lasting``: those groups of which nobody may end, since no fault is planned that would end them. ``helpers``:
    single processes of the harness's own, which are not sampled, and may not end either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processes: dict[str, int]
    apart: frozenset[str]
    replaced: dict[str, tuple[int, str]]
    gauges: Path
    lasting: frozenset[str] = frozenset()
    helpers: dict[str, int] = {}
