"""Redis hangs (SIGSTOP): it still takes connections and answers nothing; then it goes on where it was (SIGCONT)."""

from __future__ import annotations

import redis

from benchmarks.fault import Fault
from benchmarks.probes import SILENCE_S, redis_answers, redis_client
from flashbench.services.control import Order


class RedisHang(Fault):
    """Commands sent meanwhile wait in its sockets, and are executed when it goes on, however late that is."""

    hurts = "redis"

    def inject(self) -> None:
        self.scene.order("redis", Order.HANG)

    def bite(self) -> str | None:
        try:
            with redis_client(self.scene.redis_url, SILENCE_S) as client:
                client.ping()
        except redis.TimeoutError:
            return f"it takes a connection, and leaves a PING unanswered for {1000 * SILENCE_S:.0f} ms"
        except redis.RedisError:
            return None
        return None

    def heal(self) -> None:
        self.scene.order("redis", Order.RESUME)

    def healed(self) -> str | None:
        return "a PING is answered" if redis_answers(self.scene.redis_url) else None
