"""One child of the supervisor: its output in a file, waited for, stopped, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_S = 0.02
LOG_TAIL_LINES = 12
END_LIMIT_S = 10.0  # Postgres gives its own children five


class StartFailedError(Exception):
    """A server did not come up; the text says which and shows the end of its log."""


class OwnerGoneError(Exception):
    """Whoever wanted the stack is gone or has had enough: stop at once."""


class Child:
    """A process in a group of its own. ``stop_signals`` are tried in turn, the last of them SIGKILL to the group.

    Its standard input ends after ``standard_input``, or, if it ``keeps_input``, when it is stopped or we end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        before_exec: Callable[[], None],
        stop_signals: Sequence[tuple[signal.Signals, float]],
        environment: Mapping[str, str] | None = None,
        standard_input: bytes = b"",
        keeps_input: bool = False,
        working_directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._stop_signals = stop_signals
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE if standard_input else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                cwd=working_directory,
                process_group=0,
                preexec_fn=before_exec,
            )
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(standard_input)
                self._process.stdin.flush()
            if not keeps_input:
                self._close_input()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        """The last lines of the child's log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def finish(self, check: Callable[[], None]) -> None:
        """Wait for a child that ends by itself; StartFailedError unless it ends well."""
        wait_until(lambda: not self.running, check, limit_s=60, what=f"{self.name} to finish")
        if self._process.returncode != 0:
            raise StartFailedError(f"{self.name} failed with exit code {self._process.returncode}:\n{self.tail()}")

    def expect_running(self) -> None:
        """StartFailedError with the log's end if the child has ended."""
        if not self.running:
            raise StartFailedError(
                f"{self.name} ended by itself (exit code {self._process.returncode}):\n{self.tail()}"
            )

    def end(self, number: signal.Signals) -> None:
        """Send a signal that ends the child, and wait until it is gone; SIGKILL after a while."""
        self.signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_LIMIT_S)
        self._process.kill()
        self._process.wait()
        self._close_input()

    def signal(self, number: signal.Signals) -> None:
        """Send one signal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self) -> None:
        """End the child and whatever it started."""
        for number, limit_s in self._stop_signals:
            if not self.running:
                break
            self.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(limit_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._close_input()

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def wait_until(ready: Callable[[], bool], check: Callable[[], None], *, limit_s: float, what: str) -> None:
    """Poll ``ready`` until true. ``check`` runs at every turn and may raise; StartFailedError past the limit."""
    deadline = time.monotonic() + limit_s
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise StartFailedError(f"waited {limit_s:.0f} s for {what}.")
        time.sleep(POLL_S)


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
