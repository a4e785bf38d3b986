"""Judging in a process of its own, so that neither pandas nor pyarrow enters the process that makes the load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from flashbench.errors import UsageError
from flashbench.evidence.documents import VerdictDocument
from flashbench.vocabulary import ExitCode


def judge_apart(folder: Path) -> VerdictDocument:
    """As ``reports.judging.judge``: UsageError if ``folder`` is no trial's."""
    done = subprocess.run(
        [sys.executable, "-m", "reports.judging", str(folder), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C meant for the load must not leave the trial unjudged
    )
    if done.returncode == ExitCode.USAGE:
        raise UsageError(done.stderr.strip())
    try:
        return VerdictDocument.from_json(done.stdout)
    except ValidationError as error:
        raise RuntimeError(f"judging {folder} ended with {done.returncode}:\n{done.stderr}") from error
