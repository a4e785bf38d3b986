"""Redis forgets all its keys (FLUSHALL), without ever being away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.marker import Marker
from benchmarks.probes import redis_answers, redis_client


class RedisFlush(Fault):
    """No connection breaks and no command fails: only what is read next tells that something happened."""

    hurts = "redis"
    momentary = True
    takes = frozenset({Part.REDIS_MEMORY})
    relies = frozenset({Part.REDIS_ANSWERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._marker = Marker()
        self._keys_before: int | None = None

    def inject(self) -> None:
        self._marker.write(self.scene.redis_url, "written right before")
        if self._marker.read(self.scene.redis_url) is None:
            raise FaultError("Redis does not keep what is written, even without a FLUSHALL")
        with redis_client(self.scene.redis_url) as client:
            keys = client.dbsize()
            client.flushall()
        self._keys_before = keys

    def bite(self) -> str | None:
        if self._keys_before is None or self._marker.read(self.scene.redis_url) is not None:
            return None
        return f"of {self._keys_before} keys, the one that was written right before is gone"

    def heal(self) -> None:
        """What was forgotten does not come back by itself."""

    def healed(self) -> str | None:
        return "a PING is answered; there is nothing to undo" if redis_answers(self.scene.redis_url) else None
