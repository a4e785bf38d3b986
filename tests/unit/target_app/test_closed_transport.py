"""If these fail, a Redis connection that was reset while it lay idle costs a buyer an error instead of the fallback."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from target_app.cache.closed_transport import closed_is_lost


def test_what_uvloop_says_of_a_closed_transport_is_a_lost_connection() -> None:
    async def write_too_late() -> None:
        near, far = socket.socketpair()
        with far:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
            transport.abort()
            await asyncio.sleep(0)
            with closed_is_lost():
                transport.write(b"PING\r\n")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(ConnectionResetError):
        runner.run(write_too_late())


def test_any_other_error_is_a_bug_and_passes() -> None:
    with pytest.raises(RuntimeError, match="something else"), closed_is_lost():
        raise RuntimeError("something else")
