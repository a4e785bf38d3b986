"""A Lua script that runs by its hash, and by its text after a SCRIPT FLUSH or on a Redis that never saw it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from target_app.strategies.protocol import GuardedRedis

Value = str | int


class Script:
    """One ``.lua`` file. NOSCRIPT proves that nothing ran, so sending the text then is no retry of a write."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text()
        self._sha1 = hashlib.sha1(self._text.encode()).hexdigest()  # the name Redis gives it, not a safeguard

    @classmethod
    def beside(cls, module_file: str, name: str) -> Script:
        """The script in the folder of a module: ``Script.beside(__file__, "hold.lua")``."""
        return cls(Path(module_file).with_name(name))

    async def run(self, redis: GuardedRedis, keys: Sequence[str], arguments: Sequence[Value] = ()) -> Any:
        """The script's reply; RedisAwayError as for every command."""

        async def command(client: Any) -> Any:
            try:
                return await client.evalsha(self._sha1, len(keys), *keys, *arguments)
            except NoScriptError:
                return await client.eval(self._text, len(keys), *keys, *arguments)

        return await redis.call(command)
