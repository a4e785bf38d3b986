"""Embedded Redis: a real server without persistence, on loopback only, with a random password.

It can be killed, hung and started again under the same address, which is what faults do to it. It starts empty, unless
somebody has laid a dump.rdb into its folder.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import redis

from flashbench.services.child import Child, free_port, wait_until
from flashbench.services.control import Order
from flashbench.services.discovery import Discovery
from flashbench.services.model import ServiceInfo
from flashbench.services.server import START_LIMIT_S, Server
from flashbench.services.unprivileged import dies_with_parent

# Otherwise a copy made for a replica would stay in a server's folder, and be loaded when the server starts again.
COPIES_LEAVE_NOTHING = "repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrdb-del-sync-files yes\n"


class RedisServer(Server):
    """One that is ``copied`` may have replicas, which share its password."""

    name = "Redis"
    returns = "empty"
    signals: ClassVar[Mapping[Order, signal.Signals]] = {Order.HANG: signal.SIGSTOP, Order.RESUME: signal.SIGCONT}
    log = "redis.log"

    def __init__(
        self, found: Discovery, data: Path, logs: Path, *, copied: bool = False, password: str | None = None
    ) -> None:
        super().__init__()
        self._found, self._data, self._logs = found, data, logs
        self._program = Path(found.location)
        self._password = password or secrets.token_urlsafe(16)
        self._port = free_port()
        self._replication = f"masterauth {self._password}\n{COPIES_LEAVE_NOTHING}" if copied else ""

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

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

    def _launch(self) -> Child:
        configuration = (
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\nsave ''\nappendonly no\n"
            f"maxmemory-policy noeviction\ntcp-backlog 511\n{self._replication}"
        )
        return Child(
            "redis",
            [self._program, "-"],  # the configuration comes by standard input: a password in argv is public
            log=self._logs / self.log,
            before_exec=dies_with_parent(),
            stop_signals=[(signal.SIGCONT, 0.0), (signal.SIGTERM, 3.0)],
            standard_input=configuration.encode(),
            working_directory=self._data,
        )

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)


class RedisReplica(RedisServer):
    """A server that follows another one, which it reaches on a port of loopback."""

    name = "the replica"
    returns = "and copies what Redis knows"
    log = "replica.log"

    def __init__(self, leader: RedisServer, data: Path, logs: Path, port: int) -> None:
        super().__init__(leader._found, data, logs, copied=True, password=leader._password)
        # A name of its own, so that who watches processes can tell it from the server that it follows.
        self._program = data / "redis-replica"
        self._program.symlink_to(leader._program)
        self._replication += f"replicaof 127.0.0.1 {port}\n"

    def catch_up(self, check: Callable[[], None]) -> None:
        """Wait until it has all that its leader knows; StartFailedError if that does not come about."""
        wait_until(self._in_step, check, limit_s=START_LIMIT_S, what="the replica to be in step with Redis")

    def _in_step(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.info("replication").get("master_link_status") == "up")
        except redis.RedisError:
            return False
