"""If these fail, a link ends connections otherwise than the network that it stands for, or keeps them for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import ClassVar, Literal, cast

import pytest

from flashbench.services.child import free_port
from flashbench.services.proxy import link as link_module
from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.connection import reset
from flashbench.services.proxy.link import Link
from flashbench.services.proxy.plan import LinkPlan, host_and_port
from tests.waiting import eventually


class Talker(asyncio.Protocol):
    """One end of a connection: what it has heard, and how that ended. It keeps what came before a reset."""

    all: ClassVar[list[Talker]] = []

    def __init__(self) -> None:
        self.all.append(self)
        self.heard = b""
        self.end: Literal["closed", "reset"] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def eof_received(self) -> bool:
        self.end = "closed"
        return True

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, ConnectionResetError):
            self.end = "reset"

    def say(self, data: bytes) -> None:
        self.transport.write(data)

    def finish(self) -> None:
        self.transport.write_eof()

    def slam(self) -> None:
        reset(self.transport)


class Peer:
    """A server that takes connections and leaves what is said on them to the test."""

    def __init__(self) -> None:
        self.port = 0
        self._taken: list[Talker] = []

    @property
    def reached(self) -> bool:
        return bool(self._taken)

    async def take(self) -> Talker:
        """The next connection."""
        await settled(lambda: self.reached)
        return self._taken.pop(0)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Peer]:
        def welcome() -> Talker:
            self._taken.append(Talker())
            return self._taken[-1]

        server = await asyncio.get_running_loop().create_server(welcome, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


@asynccontextmanager
async def linked(to: int) -> AsyncIterator[Link]:
    link = Link(LinkPlan(port=free_port(), to=f"127.0.0.1:{to}"), Random(1))
    await link.listen()
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture(autouse=True)
async def _nobody_keeps_talking() -> AsyncIterator[None]:
    yield
    while Talker.all:
        Talker.all.pop().transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer().listening() as peer:
        yield peer


@pytest.fixture
async def link(peer: Peer) -> AsyncIterator[Link]:
    async with linked(peer.port) as link:
        yield link


async def call(link: Link) -> Talker:
    """A client."""
    host, port = host_and_port(link.place)
    _, talker = await asyncio.get_running_loop().create_connection(Talker, host, port)
    return talker


async def settled(holds: Callable[[], bool]) -> None:
    async def now() -> bool:
        return holds()

    await eventually(now)


async def test_each_side_may_end_while_the_other_goes_on(link: Link, peer: Peer) -> None:
    client, server = await call(link), await peer.take()
    server.say(b"that is all from me")
    server.finish()
    await settled(lambda: client.end == "closed")

    client.say(b"and this from me")
    client.finish()

    await settled(lambda: server.end == "closed")
    assert (client.heard, server.heard) == (b"that is all from me", b"and this from me")
    await settled(lambda: link.standing == 0)


async def test_a_reset_of_one_side_reaches_the_other_behind_the_last_bytes(link: Link, peer: Peer) -> None:
    await link.behave(Behaviour(latency_ms=30))
    client, server = await call(link), await peer.take()
    server.say(b"last")
    await settled(lambda: link.counts.delayed_chunks == 1)
    server.slam()

    await settled(lambda: client.end == "reset")
    assert client.heard == b"last"
    await settled(lambda: link.standing == 0)


async def test_a_client_that_leaves_a_black_hole_in_anger_has_said_what_it_said(link: Link, peer: Peer) -> None:
    await link.behave(Behaviour(blackhole=True))
    client = await call(link)
    client.say(b"a word")
    await settled(lambda: link.counts.held_bytes == len(b"a word"))
    client.slam()
    await asyncio.sleep(0.02)  # long enough for it to come through, if it did
    assert not peer.reached

    await link.behave(Behaviour())

    server = await peer.take()
    await settled(lambda: server.end == "reset")
    assert server.heard == b"a word"
    await settled(lambda: link.standing == 0)


async def test_a_server_that_is_not_there_resets_its_clients() -> None:
    async with linked(free_port()) as link:
        client = await call(link)
        await settled(lambda: client.end == "reset")
        await settled(lambda: link.standing == 0)


async def test_a_link_that_points_elsewhere_leads_there_and_no_longer_where_it_did(link: Link, peer: Peer) -> None:
    async with Peer().listening() as other:
        await link.behave(Behaviour(blackhole=True))
        waiting = await call(link)
        await settled(lambda: link.standing == 1)
        await link.point(f"127.0.0.1:{other.port}")
        await settled(lambda: waiting.end == "reset")
        await link.behave(Behaviour())

        await call(link)

        await other.take()
        assert not peer.reached
        assert link.standing == 1


async def test_more_connections_than_a_link_takes_are_refused(
    link: Link, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "MOST_CONNECTIONS", 2)
    first, second = await call(link), await call(link)
    await settled(lambda: link.standing == 2)
    with suppress(ConnectionResetError):  # it may be as early as that
        third = await call(link)
        await settled(lambda: third.end == "reset")
    assert link.counts.refused == 1

    for client in (first, second):
        (await peer.take()).finish()
        client.finish()
    await settled(lambda: link.standing == 0)
    await call(link)
    await settled(lambda: link.standing == 1)


async def test_a_link_that_is_closed_keeps_neither_port_nor_connection(peer: Peer) -> None:
    async with linked(peer.port) as link:
        client, server = await call(link), await peer.take()
        _, port = host_and_port(link.place)
    await settled(lambda: (client.end, server.end) == ("reset", "reset"))
    with socket.create_server(("127.0.0.1", port)):
        pass
