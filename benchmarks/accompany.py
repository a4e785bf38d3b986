"""The companion's side of a trial: what is heard from it, without ever waiting for it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from flashbench.evidence.documents import CounterDeclaration


class Opened(BaseModel):
    """The sale that a companion is to accompany, and the folder for its evidence.

    ``lock_keys``: where its strategy keeps locks in Redis, templates with ``{sale_id}`` and ``{sku}``.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    sale_id: str
    skus: tuple[str, ...]
    counter: CounterDeclaration | None
    lock_keys: tuple[str, ...] = ()


class Trial:
    """A trial as its companion hears of it. ``over`` too when the pipe from the trial has ended, whatever the cause.

    From now on the process ignores Ctrl-C, which ends the load: that is heard of.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.released_ns: int | None = None
        self.over = False
        self._unread = b""
        self.opened = Opened.model_validate(self._await("opened"))

    def ready(self) -> None:
        """Say that the load may begin."""
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def listen_until(self, moment_ns: int) -> None:
        """Wait until a moment of CLOCK_MONOTONIC, or a little less: until something was heard."""
        wait_s = max(0.0, (moment_ns - time.monotonic_ns()) / 1e9)
        if not self.over and select.select([0], [], [], wait_s)[0]:
            self._hear()

    def _await(self, what: str) -> Any:
        while b"\n" not in self._unread:
            piece = os.read(0, 65536)
            if not piece:
                raise SystemExit(0)  # the trial ended before it began
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)[what]

    def _hear(self) -> None:
        piece = os.read(0, 65536)
        self.over = self.over or not piece
        self._unread += piece
        while b"\n" in self._unread:
            line, _, self._unread = self._unread.partition(b"\n")
            message = json.loads(line)
            self.released_ns = message.get("released_ns", self.released_ns)
            self.over = self.over or "over_ns" in message
