"""Redis is killed (SIGKILL) and is back at once with an old snapshot: all is as it was when the load began."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.fault import Fault, FaultError, Part, Scene
from benchmarks.marker import Marker
from benchmarks.probes import SILENCE_S, redis_answers, redis_client, redis_life, redis_snapshot_file
from flashbench.services.control import Order


class RedisRollback(Fault):
    """Units that were sold since then are in the counter again, and locks, holds and tokens are those of then."""

    hurts = "redis"
    momentary = True
    takes = frozenset({Part.REDIS_PROCESS, Part.REDIS_ANSWERS, Part.REDIS_MEMORY})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._marker = Marker()
        self._life_before = ""
        self._file: Path | None = None
        self._kept: Path | None = None

    def prepare(self) -> None:
        """Take the snapshot, and put it where no other start finds it."""
        self._marker.write(self.scene.redis_url, "earlier")
        with redis_client(self.scene.redis_url) as client:
            client.save()
            self._file = redis_snapshot_file(client)
        self._kept = self._file.with_name(f"{self._file.name}-{uuid4().hex}")
        self._file.rename(self._kept)

    def inject(self) -> None:
        if self._file is None or self._kept is None:
            raise FaultError("no snapshot was taken when the load began")
        self._marker.write(self.scene.redis_url, "later")
        self._life_before = redis_life(self.scene.redis_url)
        self.began_ns = self.scene.order("redis", Order.KILL)
        self._kept.rename(self._file)
        self.scene.order("redis", Order.START)
        self._file.unlink()

    def bite(self) -> str | None:
        if redis_life(self.scene.redis_url, SILENCE_S) == self._life_before or not self._life_before:
            return None
        if self._marker.read(self.scene.redis_url) != "earlier":
            return None
        return "another server process answers, and of a key it knows what stood there when the load began"

    def heal(self) -> None:
        self.scene.order("redis", Order.START)  # if it did not come back, or was taken away again
        for path in (self._file, self._kept):
            if path is not None:
                path.unlink(missing_ok=True)

    def healed(self) -> str | None:
        if not redis_answers(self.scene.redis_url):
            return None
        self._marker.remove(self.scene.redis_url)
        return "a PING is answered, and no snapshot is left"
