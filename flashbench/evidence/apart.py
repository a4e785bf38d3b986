"""Work on evidence in a process of its own, so that neither pandas nor pyarrow enters the process that makes the load.

Such a process can be started before there is work for it: it loads what it needs while nothing else happens, and waits
for the folder on its standard input. It ends by itself if whoever started it is gone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flashbench.errors import UsageError
from flashbench.vocabulary import ExitCode

FROM_STDIN = "-"  # instead of a folder's name, among a module's arguments


class Apart:
    """A module that works on a folder, whose name comes among its arguments or, for ``-``, on its standard input."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = (sys.executable, "-m", module, FROM_STDIN, *arguments)
        self._process: subprocess.Popen[str] | None = None

    def get_ready(self) -> None:
        """Start it, if it is not waiting already."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a Ctrl-C meant for the load must not leave the evidence as it is
            )

    def __call__(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Have it do its work. UsageError with its own sentence where it can't be done."""
        self.get_ready()
        assert self._process is not None
        process, self._process = self._process, None
        shown, complaint = process.communicate(str(folder))
        if process.returncode == ExitCode.USAGE:
            raise UsageError(complaint.strip())
        return subprocess.CompletedProcess(process.args, process.returncode, shown, complaint)


def folder_named(argument: str) -> Path:
    """The folder that such a module is to work on; ends the process if it waited for one in vain."""
    name = sys.stdin.read() if argument == FROM_STDIN else argument
    if not name:
        sys.exit(0)
    return Path(name)


class Sealer:
    """Seals apart."""

    def __init__(self) -> None:
        self._apart = Apart("flashbench.evidence.sealing")

    def get_ready(self) -> None:
        """Have the process wait for its folder."""
        self._apart.get_ready()

    def __call__(self, folder: Path) -> None:
        """As ``sealing.seal``: UsageError with one sentence where the folder is no trial's, is full or read-only."""
        done = self._apart(folder)
        if done.returncode != 0:
            raise RuntimeError(f"sealing {folder} ended with {done.returncode}:\n{done.stderr}")
