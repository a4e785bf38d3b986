"""One client of a link and its server: two sockets, and a flow in each direction."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Protocol, cast

from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.delay import End, Piece
from flashbench.services.proxy.flow import Flow, Gate
from flashbench.services.proxy.replies import Replies

_SEND_BUFFER_BYTES = 64 * 1024
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: what is closed is reset


class Owner(Protocol):
    """What a connection needs of its link."""

    chance: Random
    behaviour: Behaviour
    tally: Counter[str]

    def delay_s(self) -> float:
        """How long the next piece waits."""

    async def reach(self, server: asyncio.Protocol) -> None:
        """Connect to the server; OSError if there is none."""

    def forget(self, connection: Connection) -> None:
        """There is nothing left of it."""


class Connection:
    """Lives until both its sockets are closed. ``allowance`` is how many bytes the client still gets before a cut."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._up = Flow(owner.delay_s, self._to_server)
        self._down = Flow(owner.delay_s, self._to_client)
        self._replies = Replies(owner.chance)
        self._server = Side(self, self._down, self._up, self._answered)
        self._reaching: asyncio.Task[None] | None = None
        self._closed = 0  # directions that have ended
        self.client = Side(self, self._up, self._down, self._asked)
        self.allowance = owner.behaviour.cut_after_bytes
        self.over = False  # nothing more is to be passed on
        self._up.shut(Gate.CONNECTING)
        if owner.behaviour.blackhole:
            self.hold()

    def hold(self) -> None:
        """Pass nothing on until ``go_on``."""
        self._owner.tally["held_bytes"] += self._up.waiting_bytes + self._down.waiting_bytes
        self._up.shut(Gate.BLACKHOLE)
        self._down.shut(Gate.BLACKHOLE)

    def go_on(self) -> None:
        """Pass on again, and first what was held."""
        self._up.open(Gate.BLACKHOLE)
        self._down.open(Gate.BLACKHOLE)

    def reset(self) -> None:
        """End both sides at once with a RST, whatever is under way."""
        self._finish()
        for side in (self.client, self._server):
            side.reset()
        self._settle()

    def made(self, side: Side) -> None:
        """A side's socket is connected."""
        if self.over:
            side.reset()
        elif side is self.client:
            self._reaching = asyncio.ensure_future(self._reach())
        else:
            self._up.open(Gate.CONNECTING)

    def lost(self, side: Side) -> None:
        """A side's socket is gone. What it sent still goes on, and then the other side hears of it."""
        side.gone = True
        if not self.over:
            side.outflow.end()
            side.inflow.take(End.RESET)
            if self.client.gone and self._server.gone:
                self._finish()
        self._settle()

    async def _reach(self) -> None:
        try:
            await self._owner.reach(self._server)
        except OSError:
            self.lost(self._server)

    def _asked(self, request: bytes) -> None:
        self._note_held(request)
        self._up.take(request)

    def _answered(self, answer: bytes) -> None:
        first = self._replies.asking
        if not self._replies.dropped(self._owner.behaviour):
            self._note_held(answer)
            self._down.take(answer)
            return
        self._owner.tally["dropped_replies"] += first
        if not self._replies.silent:
            self._down.take(End.RESET)

    def _note_held(self, data: bytes) -> None:
        if self._owner.behaviour.blackhole:
            self._owner.tally["held_bytes"] += len(data)

    def _to_server(self, piece: Piece) -> None:
        if isinstance(piece, End):
            self._pass_end(piece, self._server)
            return
        self._replies.asked(piece, self._owner.behaviour)
        self._owner.tally["bytes_up"] += len(piece)
        self._server.write(piece)

    def _to_client(self, piece: Piece) -> None:
        if isinstance(piece, End):
            self._pass_end(piece, self.client)
            return
        cut = self.allowance is not None and len(piece) >= self.allowance
        if self.allowance is not None:
            piece = piece[: self.allowance]
            self.allowance -= len(piece)
        self._owner.tally["bytes_down"] += len(piece)
        self.client.write(piece)
        if cut:
            self._owner.tally["cut"] += 1
            self.reset()

    def _pass_end(self, end: End, side: Side) -> None:
        if end is End.RESET:
            self.reset()
            return
        side.write_eof()
        self._closed += 1
        if self._closed == 2:
            self._finish()
            self.client.close()
            self._server.close()

    def _finish(self) -> None:
        self.over = True
        self._up.end()
        self._down.end()
        if self._reaching is not None:
            self._reaching.cancel()

    def _settle(self) -> None:
        """Let the link forget it if no socket is open, and none will be."""
        if self.over and not self.client.open and not self._server.open:
            self._owner.forget(self)


class Side(asyncio.Protocol):
    """One socket of a connection: what it sends goes into ``inflow``, and it is sent what comes out of ``outflow``."""

    def __init__(self, connection: Connection, inflow: Flow, outflow: Flow, heard: Callable[[bytes], None]) -> None:
        self._connection, self._heard = connection, heard
        self._transport: asyncio.Transport | None = None
        self.inflow, self.outflow = inflow, outflow
        self.gone = False

    @property
    def open(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_SEND_BUFFER_BYTES)
        self.inflow.read_from(self._transport)
        self._connection.made(self)

    def data_received(self, data: bytes) -> None:
        self._heard(data)

    def eof_received(self) -> bool:
        self.inflow.take(End.CLOSED)
        return True  # the other direction goes on

    def pause_writing(self) -> None:
        self.outflow.shut(Gate.STALLED)

    def resume_writing(self) -> None:
        self.outflow.open(Gate.STALLED)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._connection.lost(self)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(OSError):  # it is gone, and that will be heard of
                self._transport.write_eof()

    def close(self) -> None:
        """Close the socket once everything has been sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Close the socket so that the other end is told of an error (RST), not of an end."""
        if self._transport is not None:
            reset(self._transport)


def reset(transport: asyncio.BaseTransport) -> None:
    """Close a socket with a RST, and drop what was not sent yet."""
    opened = cast(asyncio.Transport, transport)
    with contextlib.suppress(OSError):  # it is closed
        opened.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    opened.abort()
