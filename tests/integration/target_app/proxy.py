"""A TCP proxy in front of Postgres, to take it away from a worker and give it back: other tests need the server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards to one server until it is cut or told to swallow what it gets."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._door: socket.socket | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._last_word: bytes | None = None
        self.port = 0

    async def listen(self) -> None:
        """Take connections, on the port of the first time."""
        self._door = socket.create_server(("127.0.0.1", self.port))
        self._door.setblocking(False)
        self.port = self._door.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._door, self._accept, self._door)

    async def cut(self) -> None:
        """Close every connection and refuse new ones."""
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()
            self._door = None
        await asyncio.sleep(0)  # every link begins: one that is cancelled before it does would close nothing
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def swallow(self) -> None:
        """Accept everything and answer nothing, as a server that hangs."""
        self._flows.clear()

    def flow(self) -> None:
        """Forward again, and what was swallowed first."""
        self._flows.set()

    def abandon(self) -> None:
        """Standing connections fall silent for ever, as if the host behind them had vanished; new ones flow."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    def lose_answers_after(self, word: bytes | None) -> None:
        """Forward a message with this word, and cut the connection when its answer arrives."""
        self._last_word = word

    def _accept(self, door: socket.socket) -> None:
        """Know a connection from its first moment; asyncio's own server forgets one that it accepts as it closes."""
        link = asyncio.create_task(self._link(door.accept()[0]))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, accepted: socket.socket) -> None:
        flows = self._flows
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            await flows.wait()
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
            try:
                async with asyncio.TaskGroup() as both:
                    said = asyncio.Event()
                    both.create_task(self._ask(reader, up_writer, said, flows))
                    both.create_task(self._answer(up_reader, writer, said, flows))
            finally:
                up_writer.close()
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, said: asyncio.Event, flows: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await flows.wait()
            if self._last_word is not None and self._last_word in data:
                said.set()
            up.write(data)
            await up.drain()
        up.close()

    async def _answer(
        self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, said: asyncio.Event, flows: asyncio.Event
    ) -> None:
        while data := await up.read(65536):
            await flows.wait()
            if said.is_set():
                break
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the URL of the same database through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    await proxy.listen()
    login = parts.netloc.rpartition("@")[0]
    netloc = f"{login}@127.0.0.1:{proxy.port}" if login else f"127.0.0.1:{proxy.port}"
    try:
        yield proxy, urlunsplit(parts._replace(netloc=netloc))
    finally:
        proxy.flow()
        await proxy.cut()
