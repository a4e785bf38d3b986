"""Processes that accompany a trial's load, such as telemetry and faults: what a trial needs to know of them.

A companion is a command. It says ``ready`` on its standard output, and hears of the trial in lines of JSON on its
standard input: ``{"opened": …}`` at its start, ``{"released_ns": …}`` when the load begins, ``{"over_ns": …}`` when
the load has ended. It then puts things back as they were, ends its files, says what bars a PASS, a sentence a line and
few of them, and exits with 0.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from flashbench.services.unprivileged import dies_with_parent

READY_LIMIT_S = 20.0
FINISH_LIMIT_S = 40.0  # longer than a server takes to come back


class Companions:
    """All companions of one trial, by name. Those that fail are named in ``failed``, and the trial goes on.

    ``said`` is what those that ended well had to say.
    """

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = commands
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.failed: list[str] = []
        self.said: list[str] = []

    def begin(self, opened: Mapping[str, Any]) -> None:
        """Start them, tell them of the open sale, and wait until all are ready."""
        for name, command in self._commands.items():
            self._running[name] = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=dies_with_parent()
            )
        self._tell(opened=dict(opened))
        deadline = time.monotonic() + READY_LIMIT_S
        for name, process in list(self._running.items()):
            output = _pipe(process.stdout)
            speaks = select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not speaks or output.readline().strip() != b"ready":
                self._lose(name, "did not get ready")

    def released(self, at_ns: int) -> None:
        """The load begins at this moment."""
        self._tell(released_ns=at_ns)

    def finish(self, ended_ns: int) -> None:
        """The load is over: wait until they have ended."""
        self._tell(over_ns=ended_ns)
        deadline = time.monotonic() + FINISH_LIMIT_S
        for name, process in list(self._running.items()):
            with contextlib.suppress(OSError):
                _pipe(process.stdin).close()
            try:
                code = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._lose(name, f"did not end within {FINISH_LIMIT_S:.0f} s")
            else:
                if code != 0:
                    self._lose(name, f"failed with exit code {code}")
                else:
                    self.said += _pipe(process.stdout).read().decode(errors="replace").splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._running.values():
            _end(process)

    def _tell(self, **message: Any) -> None:
        for process in self._running.values():
            with contextlib.suppress(OSError):  # that it is gone is found out at its end
                _pipe(process.stdin).write(json.dumps(message).encode() + b"\n")
                _pipe(process.stdin).flush()

    def _lose(self, name: str, why: str) -> None:
        self.failed.append(f"{name} {why}")
        _end(self._running.pop(name))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            _pipe(pipe).close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
