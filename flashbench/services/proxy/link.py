"""A link: a port on loopback, and the server that its clients reach through it, for as long as the link lets them."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.connection import Connection, reset
from flashbench.services.proxy.plan import LinkPlan, host_and_port, written_place

MOST_CONNECTIONS = 1000  # standing ones; further ones are refused
CONNECT_LIMIT_S = 10.0


class Link:
    """Must be made where its event loop runs. Timers that are always late by ``late_s`` are set earlier by that."""

    def __init__(self, plan: LinkPlan, chance: Random, late_s: float = 0.0) -> None:
        self._plan, self._late_s = plan, late_s
        self._to = host_and_port(plan.to)
        self._connections: set[Connection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self.chance = chance
        self.behaviour = Behaviour()
        self.tally: Counter[str] = Counter()

    @property
    def place(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self._plan.port}"

    @property
    def leads_to(self) -> str:
        """The server that clients reach through it."""
        return written_place(*self._to)

    @property
    def standing(self) -> int:
        """How many connections there are at present."""
        return len(self._connections)

    @property
    def counts(self) -> Counts:
        """What it has done since its start."""
        return Counts(**self.tally)

    async def listen(self) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._welcome, "127.0.0.1", self._plan.port, backlog=1024)

    async def close(self) -> None:
        """Take no more connections, and reset those that stand."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.reset()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    async def behave(self, behaviour: Behaviour) -> None:
        """Do this from now on; in force when it returns."""
        held, cut_before = self.behaviour.blackhole, self.behaviour.cut_after_bytes
        self.behaviour = behaviour
        if behaviour.reset or behaviour.refuse:
            self._reset_all()
        for connection in list(self._connections):
            if behaviour.cut_after_bytes != cut_before:  # else what it has brought since then counts on
                connection.allowance = behaviour.cut_after_bytes
            if behaviour.blackhole and not held:
                connection.hold()
            elif held and not behaviour.blackhole:
                connection.go_on()
        if behaviour.blackhole:
            self._flowing.clear()
        else:
            self._flowing.set()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    async def point(self, place: str) -> None:
        """Lead to this server from now on. Connections to another are reset. ValueError if it is no place."""
        self._to = host_and_port(place)
        self._reset_all()
        await asyncio.sleep(0)

    def delay_s(self) -> float:
        """How long the next bytes wait."""
        self.tally["delayed_chunks"] += self.behaviour.delays
        return max(0.0, self._plan.rtt_ms / 2000 + self.behaviour.delay_s(self.chance) - self._late_s)

    async def reach(self, server: asyncio.Protocol) -> None:
        """Connect to the server, as soon as anything may reach it; OSError if it does not take the connection."""
        await self._flowing.wait()
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await asyncio.get_running_loop().create_connection(lambda: server, *self._to)

    def forget(self, connection: Connection) -> None:
        """There is nothing left of it."""
        self._connections.discard(connection)

    def _welcome(self) -> asyncio.Protocol:
        if self.behaviour.refuse or len(self._connections) >= MOST_CONNECTIONS:
            self.tally["refused"] += 1
            return _Refusal()
        self.tally["connections"] += 1
        connection = Connection(self)
        self._connections.add(connection)
        return connection.client

    def _reset_all(self) -> None:
        for connection in list(self._connections):
            self.tally["resets"] += not connection.over
            connection.reset()


class _Refusal(asyncio.Protocol):
    """Resets a connection as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        reset(transport)
