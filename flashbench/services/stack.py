"""The owner's handle on a stack. Only pipes and processes, so it works plain and under gevent alike."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from flashbench.errors import UsageError
from flashbench.services.model import StackInfo, StackRequest

STOP_LIMIT_S = 30.0


class Stack:
    """Servers that are up until ``stop()``, or until this process ends, however it ends.

    ::

        with Stack.start(StackRequest(), progress=print) as stack:
            print(stack.info.base_url)
    """

    def __init__(self, supervisor: subprocess.Popen[bytes]) -> None:
        self._supervisor = supervisor
        self._owner = os.getpid()
        self.info: StackInfo

    @classmethod
    def start(cls, request: StackRequest, *, progress: Callable[[str], None]) -> Self:
        """Start and wait until ready. UsageError with one sentence if something is missing, in use or refused."""
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "flashbench.services.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        stack = cls(supervisor)
        try:
            stack.info = stack._greet(request, progress)
        except BaseException:
            stack.stop()
            raise
        return stack

    @property
    def alive(self) -> bool:
        """Whether there is still somebody who owns the servers."""
        return self._supervisor.poll() is None

    def _greet(self, request: StackRequest, progress: Callable[[str], None]) -> StackInfo:
        pipe_in, pipe_out = self._supervisor.stdin, self._supervisor.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(json.dumps({"owner_pid": os.getpid(), "request": request.model_dump()}).encode() + b"\n")
        pipe_in.flush()
        for line in pipe_out:
            if not line.endswith(b"\n"):
                break
            message = json.loads(line)
            if "ready" in message:
                return StackInfo.model_validate(message["ready"])
            if "refused" in message:
                raise UsageError(message["refused"])
            progress(message["progress"])
        code = self._supervisor.wait()
        raise UsageError(f"the stack's supervisor ended before the stack was ready (exit code {code}): try again.")

    def stop(self) -> None:
        """Stop everything and wait until it is gone. Idempotent; a forked child that calls it does nothing."""
        if os.getpid() != self._owner:
            return
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._supervisor.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
