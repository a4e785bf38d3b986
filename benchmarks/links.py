"""Faults of the network: what they ask of the proxy's links, and what shows that a link does it."""

from __future__ import annotations

import contextlib
import socket
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from benchmarks.fault import Claim, Fault, FaultOptions, Part, Scene
from benchmarks.probes import PATIENCE_S, SILENCE_S
from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.control import ProxyControl
from flashbench.services.proxy.plan import host_and_port, server_place

FLOW = {"redis": Part.REDIS_FLOW, "postgres": Part.POSTGRES_FLOW}  # by store, what a black hole takes from its link
REPLIES = {"redis": Part.REDIS_REPLIES, "postgres": Part.POSTGRES_REPLIES}  # and what the loss of every answer does
# What must be at the other end: a server that answers, or one that takes connections at the least.
ANSWERS = {"redis": Part.REDIS_ANSWERS, "postgres": Part.POSTGRES_ANSWERS}
ACCEPTS = {"redis": Part.REDIS_PROCESS, "postgres": Part.POSTGRES_ANSWERS}
_QUIET_NS = 200_000_000  # after which a link over which nothing went is taken for one that nobody uses
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)  # Postgres answers one byte, before any login


class Links:
    """The links of one proxy, and all that lasting faults ask of them.

    A proxy knows but one behaviour a link, so what several faults ask for is put together: each says only what it
    asks for, and no two ask for the same. OrderRefusedError if the proxy does not answer.
    """

    def __init__(self, proxy: str) -> None:
        self.proxy = ProxyControl(proxy)
        self._asked: dict[str, dict[Fault, Behaviour]] = {}

    def ask(self, link: str, fault: Fault, behaviour: Behaviour) -> int:
        """Have a link behave so until it is let go; when that was in force."""
        self._asked.setdefault(link, {})[fault] = behaviour
        return self.proxy.behave(link, self._together(link))

    def ask_once(self, link: str, behaviour: Behaviour) -> int:
        """For what is over as soon as it is done, such as a reset."""
        return self.proxy.behave(link, self._together(link, behaviour))

    def let_go(self, link: str, fault: Fault) -> int:
        """What a fault asked of a link holds no longer."""
        self._asked.get(link, {}).pop(fault, None)
        return self.proxy.behave(link, self._together(link))

    def asked(self, link: str) -> bool:
        """Whether any fault still asks something of a link."""
        return bool(self._asked.get(link))

    def connect(self, link: str) -> socket.socket:
        """A connection to the link's server as the app would make one, to be closed by the caller."""
        return socket.create_connection(host_and_port(self.proxy.place(link)), PATIENCE_S)

    def _together(self, link: str, more: Behaviour | None = None) -> Behaviour:
        asked = [*self._asked.get(link, {}).values(), *([more] if more is not None else [])]
        return Behaviour(
            **{name: value for each in asked for name, value in each.model_dump(exclude_unset=True).items()}
        )


def redis_ping(text: str = "") -> bytes:
    """A PING that carries a text; Redis answers it, if only by saying that one must log in first."""
    words = [b"PING", *([text.encode()] if text else [])]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class LinkFault(Fault):
    """A fault of the link from the app to one store. Faults of different kinds may hold on a link at once."""

    hurts = "network"
    needs = frozenset({"proxy"})

    class Options(FaultOptions):
        """Which link."""

        store: Literal["redis", "postgres"]

        @property
        def which(self) -> str:
            return self.store

    options: Options
    shows: ClassVar[str]  # the count that a link raises when it does this
    needs_answers: ClassVar[bool] = True  # or only somebody there, who may be silent

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """What becomes of the traffic can only be seen where there is some."""
        other_end = ANSWERS if cls.needs_answers else ACCEPTS
        return replace(super().claim(options), meets=frozenset({other_end[options.which], FLOW[options.which]}))

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._before: Counts | None = None
        self._asking: socket.socket | None = None  # the connection of a request whose answer is awaited
        self._asked_s = 0.0
        self._passed_on, self._quiet_ns = 0, 0  # bytes to the server, and since when there were no more of them
        self._unused = False

    @abstractmethod
    def behaviour(self) -> Behaviour:
        """What is asked of the link, and nothing but that."""

    def knock(self) -> bytes:
        """What is sent to Redis over the link, to see what the link does with it, where the app has nothing to say."""
        return redis_ping()

    def inject(self) -> None:
        self._before = self._counts()
        self._passed_on, self._quiet_ns = self._before.bytes_up, time.monotonic_ns()
        self.began_ns = self.scene.links.ask(self.options.store, self, self.behaviour())

    def risen(self) -> int:
        """By how much the count has risen since the injection."""
        return self._risen(self._counts())

    def seen(self) -> int:
        """As ``risen``; a link to Redis over which nothing goes is knocked at, since not every strategy needs Redis.

        One that the app does use has to show the fault to the app: what it does to a knock would prove less.
        """
        now = self._counts()
        self._unused = self._unused or self._rests(now)
        if self.options.store == "redis" and self._unused and not self._risen(now):
            self._send(self.knock())
            now = self._counts()
        return self._risen(now)

    def heal(self) -> None:
        if self._before is not None:
            self.scene.links.let_go(self.options.store, self)

    def healed(self) -> str | None:
        if self._before is None:
            return "nothing was asked of the link"
        if self.scene.links.asked(self.options.store):
            return "the link does it no longer; what another fault asks of it still holds"
        if self._asking is None:
            self._asking = self.scene.links.connect(self.options.store)
            self._asking.settimeout(SILENCE_S)
            self._asked_s = time.monotonic()
            self._asking.sendall(self._question())
        try:
            answer = self._asking.recv(1024)
        except TimeoutError:  # another fault may hold it, and nobody is to wait for that here
            if time.monotonic() - self._asked_s < PATIENCE_S:
                return None
            answer = b""
        except ConnectionError:
            answer = b""
        self._asking.close()
        self._asking = None
        if answer:
            return "a request over the link is answered"
        return None if self._server_answers() else "the link does it no longer; its server itself does not answer"

    def _server_answers(self) -> bool:
        """Asked directly, since what another fault does to it is not the link's doing."""
        url = self.scene.redis_url if self.options.store == "redis" else self.scene.database_url
        try:
            with socket.create_connection(host_and_port(server_place(url)), SILENCE_S) as connection:
                connection.sendall(self._question())
                return bool(connection.recv(1024))
        except OSError:
            return False

    def _question(self) -> bytes:
        """What any server of the kind answers at once."""
        return redis_ping() if self.options.store == "redis" else _SSL_REQUEST

    def _counts(self) -> Counts:
        return self.scene.links.proxy.counts(self.options.store)

    def _risen(self, now: Counts) -> int:
        if self._before is None:
            return 0
        return int(getattr(now, self.shows)) - int(getattr(self._before, self.shows))

    def _rests(self, now: Counts) -> bool:
        """Whether nothing has been passed on to the server for a while."""
        at_ns = time.monotonic_ns()
        if now.bytes_up != self._passed_on:
            self._passed_on, self._quiet_ns = now.bytes_up, at_ns
        return at_ns - self._quiet_ns >= _QUIET_NS

    def _send(self, request: bytes) -> None:
        """Send bytes over the link, and take whatever comes back until nothing does."""
        with contextlib.suppress(OSError), self.scene.links.connect(self.options.store) as connection:
            connection.settimeout(SILENCE_S)
            connection.sendall(request)
            while connection.recv(65536):
                pass
