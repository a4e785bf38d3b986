"""Redis is full (maxmemory, and nothing may be evicted): it answers reads, and refuses every write that needs room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from benchmarks.fault import Fault, Part, Scene
from benchmarks.marker import Marker
from benchmarks.probes import redis_client, redis_setting

_LIMIT, _POLICY = "maxmemory", "maxmemory-policy"


class RedisFull(Fault):
    """What is there can be read, deleted and left to expire, but not added to."""

    hurts = "redis"
    takes = frozenset({Part.REDIS_MEMORY})
    relies = frozenset({Part.REDIS_ANSWERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._marker = Marker()
        self._before: dict[str, str] = {}

    def inject(self) -> None:
        with redis_client(self.scene.redis_url) as client:
            self._before = {name: redis_setting(client, name) for name in (_LIMIT, _POLICY)}
            client.config_set(_POLICY, "noeviction")
            client.config_set(_LIMIT, 1)

    def bite(self) -> str | None:
        try:
            self._write()
        except redis.OutOfMemoryError as refusal:
            return f"a write is refused ({refusal})"
        return None

    def heal(self) -> None:
        if self._before:
            with redis_client(self.scene.redis_url) as client:
                for name in (_LIMIT, _POLICY):
                    client.config_set(name, self._before[name])

    def healed(self) -> str | None:
        try:
            self._write()
        except redis.RedisError:
            return None
        return "a write is accepted"

    def _write(self) -> None:
        self._marker.write(self.scene.redis_url, "room")
        self._marker.remove(self.scene.redis_url)
