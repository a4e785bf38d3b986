"""Sealing in a process of its own, so that neither pandas nor pyarrow enters the process that makes the load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import ExitCode


def seal_apart(folder: Path) -> None:
    """As ``sealing.seal``: UsageError with one sentence where the folder is no trial's, is full or read-only."""
    done = subprocess.run(
        [sys.executable, "-m", "flashbench.evidence.sealing", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C meant for the load must not leave the evidence unsealed
    )
    if done.returncode == ExitCode.USAGE:
        raise UsageError(done.stderr.strip())
    if done.returncode != 0:
        raise RuntimeError(f"sealing {folder} ended with {done.returncode}:\n{done.stderr}")
