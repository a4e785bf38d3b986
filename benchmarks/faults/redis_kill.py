"""Redis is killed (SIGKILL), stays away, and comes back empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from benchmarks.fault import Fault, Part, Scene
from benchmarks.probes import SILENCE_S, redis_life
from flashbench.services.control import Order


class RedisKill(Fault):
    """Whatever Redis knew is gone: counters, holds, locks, tokens, cached products, scripts."""

    hurts = "redis"
    takes = frozenset({Part.REDIS_PROCESS, Part.REDIS_ANSWERS, Part.REDIS_MEMORY})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._life_before = ""

    def inject(self) -> None:
        life = redis_life(self.scene.redis_url)
        self.began_ns = self.scene.order("redis", Order.KILL)
        self._life_before = life

    def bite(self) -> str | None:
        try:
            redis_life(self.scene.redis_url, SILENCE_S)
        except redis.ConnectionError as refusal:
            return f"a connection is refused ({type(refusal).__name__})"
        except redis.RedisError:
            return None
        return None

    def heal(self) -> None:
        self.scene.order("redis", Order.START)

    def healed(self) -> str | None:
        try:
            life = redis_life(self.scene.redis_url, SILENCE_S)
        except redis.RedisError:
            return None
        if not self._life_before:
            return "it answers as before"
        return "another server process answers, which started empty" if life != self._life_before else None
