"""Redis is killed (SIGKILL) and is back at once, empty, as under a service manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.fault import Fault, Part, Scene
from benchmarks.marker import Marker
from benchmarks.probes import SILENCE_S, redis_answers, redis_life
from flashbench.services.control import Order


class RedisRestart(Fault):
    """Hardly anybody sees it away; those who trust what they read next have been made to forget."""

    hurts = "redis"
    momentary = True
    takes = frozenset({Part.REDIS_PROCESS, Part.REDIS_ANSWERS, Part.REDIS_MEMORY})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._marker = Marker()
        self._life_before = ""

    def inject(self) -> None:
        self._marker.write(self.scene.redis_url, "written right before")
        self._life_before = redis_life(self.scene.redis_url)
        self.began_ns = self.scene.order("redis", Order.KILL)
        self.scene.order("redis", Order.START)

    def bite(self) -> str | None:
        if redis_life(self.scene.redis_url, SILENCE_S) == self._life_before or not self._life_before:
            return None
        if self._marker.read(self.scene.redis_url) is not None:
            return None
        return "another server process answers, and what was written right before it is not there"

    def heal(self) -> None:
        self.scene.order("redis", Order.START)  # if it did not come back, or was taken away again

    def healed(self) -> str | None:
        return "a PING is answered" if redis_answers(self.scene.redis_url) else None
