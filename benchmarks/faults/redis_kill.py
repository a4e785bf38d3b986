"""Redis is killed (SIGKILL), stays away, and comes back empty."""

from __future__ import annotations

import redis

from benchmarks.fault import Fault, Scene
from flashbench.services.control import Order

_LIMIT_S = 0.1


class RedisKill(Fault):
    """Whatever Redis knew is gone: counters, holds, locks, tokens, cached products, scripts."""

    hurts = "redis"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._life_before = ""

    def inject(self) -> None:
        self._life_before = self._life() or ""
        self.scene.order("redis", Order.KILL)

    def bite(self) -> str | None:
        try:
            self._life()
        except redis.ConnectionError as refusal:
            return f"a connection is refused ({type(refusal).__name__})"
        except redis.RedisError:
            return None
        return None

    def heal(self) -> None:
        self.scene.order("redis", Order.START)

    def healed(self) -> str | None:
        try:
            life = self._life()
        except redis.RedisError:
            return None
        return "another server process answers, which started empty" if life != self._life_before else None

    def _life(self) -> str | None:
        with redis.Redis.from_url(
            self.scene.redis_url, socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S
        ) as client:
            return str(client.info("server")["run_id"])
