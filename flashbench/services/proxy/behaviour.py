"""What a link does with the bytes that it is given, and what it has done so far."""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Milliseconds = Annotated[float, Field(ge=0, le=60_000)]


class Behaviour(BaseModel):
    """The default passes everything on at once; what is said below comes on top of a link's own round trip.

    A behaviour takes the place of the one before it, whole. Of its parts, several may be given at a time.

    ``latency_ms`` is added one way, in each direction, and ``jitter_ms`` adds anything from nothing to itself; bytes
    keep their order. ``blackhole`` takes connections and bytes and passes nothing on, in either direction; what was
    held goes on when it ends. ``refuse`` resets new connections at once, and those that stand. ``reset`` resets those
    that stand, once. ``cut_after_bytes`` resets each connection after so many more bytes from server to client.

    ``drop_reply`` passes requests on and throws away what the server answers: every answer, or only that to a request
    whose bytes contain ``matching``, and of these a ``share``, drawn at random. Then the connection is reset, or stays
    and says nothing more, even after the behaviour has ended. What is a request is told by turns: it begins with the
    first bytes from the client after bytes from the server, which is exact where a client waits for every answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_ms: Milliseconds = 0.0
    jitter_ms: Milliseconds = 0.0
    blackhole: bool = False
    refuse: bool = False
    reset: bool = False
    cut_after_bytes: Annotated[int, Field(ge=0)] | None = None
    drop_reply: bool = False
    matching: str = ""
    ending: Literal["reset", "silence"] = "reset"
    share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @property
    def delays(self) -> bool:
        """Whether it makes bytes wait."""
        return self.latency_ms > 0 or self.jitter_ms > 0

    def delay_s(self, chance: Random) -> float:
        """How long the next bytes wait."""
        return (self.latency_ms + self.jitter_ms * chance.random()) / 1000


class Counts(BaseModel):
    """What a link has done since its start; nothing in it ever falls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: int = 0  # taken, without those refused
    bytes_up: int = 0  # passed on from clients to the server
    bytes_down: int = 0  # passed on from the server to clients
    held_bytes: int = 0  # that a blackhole has held
    delayed_chunks: int = 0  # that waited for latency or jitter, beyond the link's own round trip
    resets: int = 0  # standing connections reset: by reset, by refuse, or because the link points elsewhere
    refused: int = 0  # new connections that were reset at once
    cut: int = 0  # connections reset after so many bytes
    dropped_replies: int = 0
