"""A Lua script that runs by its hash, and by its text after a SCRIPT FLUSH or on a Redis that never saw it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from target_app.strategies.protocol import GuardedRedis, RedisAwayError

log = logging.getLogger("target_app.redis")
LOG_EVERY_S = 10.0
Value = str | int


class Script:
    """One ``.lua`` file, after those with what it calls.

    NOSCRIPT proves that nothing ran, so sending the text then is no retry of a write.
    """

    def __init__(self, *paths: Path) -> None:
        self._name = paths[-1].name
        self._log_from_s = 0.0
        self._text = "".join(path.read_text() for path in paths)
        self._sha1 = hashlib.sha1(self._text.encode()).hexdigest()  # the name Redis gives it, not a safeguard

    @classmethod
    def beside(cls, module_file: str, *names: str) -> Script:
        """The script in the folder of a module: ``Script.beside(__file__, "hold.lua")``."""
        return cls(*(Path(module_file).with_name(name) for name in names))

    async def run(self, redis: GuardedRedis, keys: Sequence[str], arguments: Sequence[Value] = ()) -> Any:
        """The script's reply; RedisAwayError as for every command, and if Redis answered with an error.

        An error means that it is out of memory, or read-only, or that a key holds what others have put there: nothing
        was decided, and how far the script came is not known.
        """

        async def command(client: Any) -> Any:
            try:
                return await client.evalsha(self._sha1, len(keys), *keys, *arguments)
            except NoScriptError:
                return await client.eval(self._text, len(keys), *keys, *arguments)

        try:
            return await redis.call(command)
        except ResponseError as error:
            self._log(error)
            raise RedisAwayError(f"Redis refused {self._name}: {error}", maybe_executed=True) from error

    def _log(self, error: ResponseError) -> None:
        """Say it, but not with every purchase."""
        if time.monotonic() >= self._log_from_s:
            self._log_from_s = time.monotonic() + LOG_EVERY_S
            log.warning("Redis refused %s: %s", self._name, error)
