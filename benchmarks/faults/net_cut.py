"""Connections between the app and a store break after so many bytes of answers, in the middle of one as it may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from benchmarks.fault import Claim, FaultOptions
from benchmarks.links import REPLIES, LinkFault, redis_ping
from flashbench.services.proxy.behaviour import Behaviour

_LEAST_ANSWER_BYTES = 7  # +PONG\r\n


class NetCut(LinkFault):
    """Each connection is reset when it has brought ``after_bytes`` more from the store, new ones likewise."""

    shows = "cut"

    class Options(LinkFault.Options):
        """``after_bytes`` of answers, on each connection."""

        after_bytes: Annotated[int, Field(ge=0, le=1_000_000)] = 1000

    options: Options

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """Answers that are lost on their way are not counted."""
        own = super().claim(options)
        return replace(own, meets=own.meets | {REPLIES[options.which]})

    def behaviour(self) -> Behaviour:
        return Behaviour(cut_after_bytes=self.options.after_bytes)

    def knock(self) -> bytes:
        return redis_ping() * (1 + self.options.after_bytes // _LEAST_ANSWER_BYTES)

    def bite(self) -> str | None:
        cut = self.seen()
        return f"{cut} connections were reset after {self.options.after_bytes} bytes of answers" if cut else None
