"""A TCP proxy in front of Postgres, to take it away from a worker and give it back: other tests need the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards to one server until it is cut or told to swallow what it gets."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._last_word: bytes | None = None
        self.port = 0

    async def listen(self) -> None:
        """Take connections, on the port of the first time."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Close every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
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

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        flows = self._flows
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
            self._links.discard(task)

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
