"""Orders to the proxy: how a link is to behave, and where it leads; and what it has done.

One request a connection, on loopback, as to the supervisor: a line of JSON with ``secret``, ``link`` and one of
``behave``, ``point``, ``counts`` and ``place``, answered by a line ``{"done_ns"}`` (CLOCK_MONOTONIC, when it was in
force), ``{"counts"}``, ``{"place", "leads_to"}`` or ``{"refused"}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from flashbench.services.control import REQUEST_LIMIT_S, Caller, OrderRefusedError, asked
from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.link import Link
from flashbench.services.proxy.plan import host_and_port, server_place, through


class ProxyControl:
    """The caller's side. ``address`` is ``StackInfo.proxy``. OrderRefusedError if something could not be done."""

    def __init__(self, address: str) -> None:
        self._desk = Caller(address, "the proxy")

    def behave(self, link: str, behaviour: Behaviour) -> int:
        """Have a link behave so from now on; when that was in force (CLOCK_MONOTONIC, nanoseconds)."""
        return int(self._desk.ask(link=link, behave=behaviour.model_dump())["done_ns"])

    def point(self, link: str, url_or_host_port: str) -> int:
        """Lead a link to another server, and reset the connections to the one before; when that was in force."""
        return int(self._desk.ask(link=link, point=server_place(url_or_host_port))["done_ns"])

    def counts(self, link: str) -> Counts:
        """What a link has done since its start."""
        return Counts.model_validate(self._desk.ask(link=link, counts=True)["counts"])

    def place(self, link: str) -> str:
        """``host:port`` at which clients reach a link's server through the proxy."""
        return str(self._desk.ask(link=link, place=True)["place"])

    def leads_to(self, link: str) -> str:
        """``host:port`` of the server that clients reach through the link at present."""
        return str(self._desk.ask(link=link, place=True)["leads_to"])

    def by_way_of(self, link: str, url: str) -> str:
        """The URL of a server as clients reach it through a link."""
        return through(url, host_and_port(self.place(link))[1])


class ProxyDesk:
    """The proxy's side: hands orders to the links."""

    def __init__(self, links: Mapping[str, Link], secret: str) -> None:
        self._links, self._secret = links, secret

    async def listen(self, port: int) -> asyncio.Server:
        """Take orders on a port of loopback."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):  # who hangs up, or says too much, gets no answer
            async with asyncio.timeout(REQUEST_LIMIT_S):
                line = await reader.readline()
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            return await self._carry_out(asked(line, self._secret))
        except OrderRefusedError as refusal:
            return {"refused": str(refusal)}
        except ValueError as error:
            return {"refused": f"that is not an order: {error}"}

    async def _carry_out(self, request: Mapping[str, Any]) -> dict[str, object]:
        link = self._links.get(str(request.get("link")))
        if link is None:
            known = ", ".join(sorted(self._links))
            raise OrderRefusedError(f"the proxy has no link {request.get('link')!r}; it has {known}")
        match request:
            case {"behave": behaviour}:
                await link.behave(Behaviour.model_validate(behaviour))
            case {"point": str(place)}:
                await link.point(place)
            case {"counts": True}:
                return {"counts": link.counts.model_dump()}
            case {"place": True}:
                return {"place": link.place, "leads_to": link.leads_to}
            case _:
                raise OrderRefusedError("that is not an order")
        return {"done_ns": time.monotonic_ns()}
