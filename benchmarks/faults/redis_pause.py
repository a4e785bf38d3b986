"""Redis pauses its clients (CLIENT PAUSE): it takes commands and leaves them undone until it is told to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import redis

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.probes import redis_answers, redis_connection, redis_is_silent

_AT_MOST_MS = 3_600_000  # as long as a load may last; it is told to go on long before
_LINES = 10_000


class RedisPause(Fault):
    """As when it is failed over: commands that it has taken are executed late, all at once.

    A paused server leaves even CLIENT UNPAUSE undone, except on a connection that counts as a replica's; one that
    listens by MONITOR does (processCommand and monitorCommand in Redis' server.c, since 6.2).
    """

    hurts = "redis"
    takes = frozenset({Part.REDIS_ANSWERS})
    relies = frozenset({Part.REDIS_PROCESS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._exempt: Any = None  # its methods have no types

    def inject(self) -> None:
        self._exempt = redis_connection(self.scene.redis_url)
        self._say("MONITOR")
        self._say("CLIENT", "PAUSE", str(_AT_MOST_MS), "ALL")

    def bite(self) -> str | None:
        return redis_is_silent(self.scene.redis_url)

    def heal(self) -> None:
        if self._exempt is None:
            return
        with contextlib.suppress(redis.ConnectionError):  # it was killed, and its pause with it
            self._say("CLIENT", "UNPAUSE")
        self._exempt.disconnect()
        self._exempt = None

    def healed(self) -> str | None:
        return "a PING is answered" if redis_answers(self.scene.redis_url) else None

    def _say(self, *words: str) -> None:
        """Send a command, and read its answer from between the commands of others."""
        self._exempt.send_command(*words)
        for _ in range(_LINES):
            if self._exempt.read_response(disconnect_on_error=False) == b"OK":
                return
        raise FaultError(f"{' '.join(words)} was not answered")
