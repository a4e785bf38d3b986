"""Redis hangs (SIGSTOP): it still takes connections and answers nothing; then it goes on where it was (SIGCONT)."""

from __future__ import annotations

from benchmarks.fault import Fault, Part
from benchmarks.probes import redis_answers, redis_is_silent
from flashbench.services.control import Order


class RedisHang(Fault):
    """Commands sent meanwhile wait in its sockets, and are executed when it goes on, however late that is."""

    hurts = "redis"
    takes = frozenset({Part.REDIS_ANSWERS})
    relies = frozenset({Part.REDIS_PROCESS})

    def inject(self) -> None:
        self.scene.order("redis", Order.HANG)

    def bite(self) -> str | None:
        return redis_is_silent(self.scene.redis_url)

    def heal(self) -> None:
        self.scene.order("redis", Order.RESUME)

    def healed(self) -> str | None:
        return "a PING is answered" if redis_answers(self.scene.redis_url) else None
