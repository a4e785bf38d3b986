"""A key of the harness's own in Redis: what became of it shows what became of the rest."""

from __future__ import annotations

from uuid import uuid4

from benchmarks.probes import redis_client

_KEPT_S = 7200  # longer than any load, in case nobody comes to take it away


class Marker:
    """One key, under a name that nobody else uses. redis.RedisError if a server does not answer."""

    def __init__(self) -> None:
        self._key = f"flashbench:marker:{uuid4().hex}"

    def write(self, url: str, text: str) -> None:
        with redis_client(url) as client:
            client.set(self._key, text, ex=_KEPT_S)

    def read(self, url: str) -> str | None:
        """What is written there, None if nothing is."""
        with redis_client(url) as client:
            found = client.get(self._key)
        return None if found is None else str(found)

    def remove(self, url: str) -> None:
        with redis_client(url) as client:
            client.delete(self._key)
