"""Embedded Redis: a real server without persistence, on loopback only, with a random password.

It can be killed, hung and started again under the same address, which is what faults do to it.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import redis

from flashbench.services.child import Child, free_port, wait_until
from flashbench.services.discovery import Discovery
from flashbench.services.model import ServiceInfo
from flashbench.services.unprivileged import dies_with_parent

START_LIMIT_S = 15.0


class RedisServer:
    """One address, and the process that serves it at present."""

    def __init__(self, found: Discovery, data: Path, logs: Path) -> None:
        self._found, self._data, self._logs = found, data, logs
        self._password = secrets.token_urlsafe(16)
        self._port = free_port()
        self._child: Child | None = None
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def info(self) -> ServiceInfo:
        """Where it came from, and its address."""
        found = self._found
        return ServiceInfo(
            origin=found.origin,
            location=found.location,
            version=found.version,
            why=found.why,
            url=self.url,
            pid=self.pid,
            settings={"appendonly": "no"},
        )

    @property
    def pid(self) -> int | None:
        """The process at present, None if there is none."""
        return self._child.pid if self._child is not None and self._child.running else None

    def start(self, check: Callable[[], None]) -> None:
        """Start, empty, and wait for the answer to a PING; StartFailedError if there is none. Nothing if it runs."""
        if self.pid is not None:
            return
        configuration = (
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\nsave ''\nappendonly no\n"
            f"dir {self._data}\nmaxmemory-policy noeviction\ntcp-backlog 511\n"
        )
        child = self._child = Child(
            "redis",
            [self._found.location, "-"],  # the configuration comes by standard input: a password in argv is public
            log=self._logs / "redis.log",
            before_exec=dies_with_parent(),
            stop_signals=[(signal.SIGCONT, 0.0), (signal.SIGTERM, 3.0)],
            standard_input=configuration.encode(),
            working_directory=self._data,
        )
        try:
            wait_until(lambda: self._answers(child), check, limit_s=START_LIMIT_S, what="Redis to answer")
        except BaseException:
            child.stop()
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, and wait for its end if that is what the signal means."""
        if self._child is not None:
            self._child.signal(number)

    def stop(self) -> None:
        """End it for good."""
        if self._child is not None:
            self._child.stop()

    def _answers(self, child: Child) -> bool:
        child.expect_running()
        try:
            with redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
