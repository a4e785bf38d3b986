"""Judging in a process of its own, so that neither pandas nor pyarrow enters the process that makes the load."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from flashbench.evidence.apart import Apart
from flashbench.evidence.documents import VerdictDocument


class Judge:
    """Judges apart."""

    def __init__(self) -> None:
        self._apart = Apart("reports.judging", "--json")

    def get_ready(self) -> None:
        """Have the process wait for its folder."""
        self._apart.get_ready()

    def __call__(self, folder: Path) -> VerdictDocument:
        """As ``reports.judging.judge``: UsageError if ``folder`` is no trial's."""
        done = self._apart(folder)
        try:
            return VerdictDocument.from_json(done.stdout)
        except ValidationError as error:
            raise RuntimeError(f"judging {folder} ended with {done.returncode}:\n{done.stderr}") from error
