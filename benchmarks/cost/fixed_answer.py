"""A server that answers every POST with one fixed sale: ``python -m benchmarks.cost.fixed_answer``.

It does next to nothing, so that the generator is what bounds the throughput, and what recording costs shows. It prints
its port and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast
from uuid import UUID

import uvloop

BODY = json.dumps({"order_id": str(UUID(int=7)), "sku": "sku-1", "quantity": 1, "remaining": 41, "seq": 59}).encode()
ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
    b"Server-Timing: app;dur=1.500, redis;dur=0.250, postgres;dur=0.750\r\n"
    b"Content-Length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
)


class FixedAnswer(asyncio.Protocol):
    """One connection. Requests are told apart by their Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = 0
            for line in self._buffer[:end].split(b"\r\n"):
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(ANSWER)


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FixedAnswer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
