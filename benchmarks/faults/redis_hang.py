"""Redis hangs (SIGSTOP): it still takes connections and answers nothing; then it goes on where it was (SIGCONT)."""

from __future__ import annotations

import redis

from benchmarks.fault import Fault
from flashbench.services.control import Order

_LIMIT_S = 0.1


class RedisHang(Fault):
    """Commands sent meanwhile wait in its sockets, and are executed when it goes on, however late that is."""

    hurts = "redis"

    def inject(self) -> None:
        self.scene.order("redis", Order.HANG)

    def bite(self) -> str | None:
        try:
            self._ping()
        except redis.TimeoutError:
            return f"it takes a connection, and leaves a PING unanswered for {1000 * _LIMIT_S:.0f} ms"
        except redis.RedisError:
            return None
        return None

    def heal(self) -> None:
        self.scene.order("redis", Order.RESUME)

    def healed(self) -> str | None:
        try:
            self._ping()
        except redis.RedisError:
            return None
        return "a PING is answered"

    def _ping(self) -> None:
        with redis.Redis.from_url(
            self.scene.redis_url, socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S
        ) as client:
            client.ping()
