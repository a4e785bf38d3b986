"""The app's worker processes, as seen from outside: which there are, and which of them serve."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

from benchmarks.fault import FaultError, Scene
from flashbench.services.app import ready_workers

_ASK_EVERY_S = 0.1  # a worker that starts needs its time, and whoever asks takes some of it
_ANSWER_LIMIT_S = 1.0


class Workers:
    """The children of the app's process that serve requests. psutil.Error if that process is gone."""

    def __init__(self, scene: Scene) -> None:
        self._pid, self._base_url, self._expected = scene.app_pid, scene.base_url, scene.app_workers
        self._ready: set[int] = set()
        self._asked_s = 0.0

    def processes(self) -> list[psutil.Process]:
        """Those that there are at present, the oldest first."""
        if not self._pid:
            raise FaultError("the app is not the harness's own")
        children = psutil.Process(self._pid).children()
        return sorted((each for each in children if not _is_helper(each)), key=lambda each: (_born_s(each), each.pid))

    def one(self, place: int) -> psutil.Process:
        """One of several; FaultError if without it nobody would serve, or nobody would start it again."""
        found = [each for each in self.processes() if each.status() != psutil.STATUS_ZOMBIE]
        if len(found) < 2:
            raise FaultError(f"the app has {len(found)} worker processes, and one has to be left")
        return found[place]

    def all_ready(self) -> bool:
        """Whether there are as many as there should be, and each has said that it is ready since the first call."""
        pids = {each.pid for each in self.processes() if each.status() != psutil.STATUS_ZOMBIE}
        if len(pids) != self._expected:
            return False
        if not pids <= self._ready and time.monotonic() - self._asked_s >= _ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._ready |= ready_workers(self._base_url, self._expected, _ANSWER_LIMIT_S)
        return pids <= self._ready

    def ports(self) -> Sequence[set[int]]:
        """Of each worker, the local ports of its connections."""
        return [{each.laddr.port for each in process.net_connections("tcp")} for process in self.processes()]


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, though nobody may have taken note of it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _born_s(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _is_helper(process: psutil.Process) -> bool:
    """Python's own process that watches over what multiprocessing shares."""
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return True
