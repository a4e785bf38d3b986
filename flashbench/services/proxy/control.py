"""Orders to the proxy: how a link is to behave, and where it leads; and what it has done.

One request a connection, on loopback, as to the supervisor: a line of JSON with ``secret``, ``link`` and one of
``behave``, ``point``, ``counts`` and ``place``, answered by a line ``{"done_ns"}`` (CLOCK_MONOTONIC, when it was in
force), ``{"counts"}``, ``{"place"}`` or ``{"refused"}``.
"""

from __future__ import annotations

from flashbench.services.control import Caller
from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.plan import server_place


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
