"""Redis forgets its scripts (SCRIPT FLUSH): an EVALSHA of what was loaded is answered by NOSCRIPT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from benchmarks.fault import Fault, Part, Scene
from benchmarks.probes import redis_answers, redis_client


class RedisScriptFlush(Fault):
    """The keys stay."""

    hurts = "redis"
    momentary = True
    relies = frozenset({Part.REDIS_ANSWERS})

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._text = f"return '{uuid4().hex}'"
        self._name: str | None = None

    def inject(self) -> None:
        with redis_client(self.scene.redis_url) as client:
            self._name = str(client.script_load(self._text))
            client.script_flush()

    def bite(self) -> str | None:
        if self._name is None or self._knows():
            return None
        return "a script that was loaded right before is not known any more"

    def heal(self) -> None:
        """Whoever needs a script brings it along again."""

    def healed(self) -> str | None:
        return "a PING is answered; there is nothing to undo" if redis_answers(self.scene.redis_url) else None

    def _knows(self) -> bool:
        with redis_client(self.scene.redis_url) as client:
            return any(client.script_exists(self._name))
