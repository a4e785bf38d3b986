"""Requests reach a store and are carried out, and the answers are thrown away on their way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from benchmarks.fault import Claim, FaultOptions
from benchmarks.links import REPLIES, LinkFault, redis_ping
from flashbench.services.proxy.behaviour import Behaviour


class NetDropReply(LinkFault):
    """The sharpest fault of the network: the app can't know that what it asked for has been done."""

    shows = "dropped_replies"

    class Options(LinkFault.Options):
        """``matching``: only answers to requests that contain this text, such as COMMIT or EVALSHA; empty for all.

        ``ending``: the connection is then reset, or stays and says nothing more. ``share`` of these answers, by lot.
        """

        matching: Annotated[str, Field(max_length=200)] = ""
        ending: Literal["reset", "silence"] = "reset"
        share: Annotated[float, Field(ge=0.001, le=1)] = 1.0

    options: Options

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """Where every answer is lost, nobody sees what else becomes of them, or gets as far as to wait for a lock."""
        assert isinstance(options, cls.Options)
        everything = not options.matching and options.share == 1
        return replace(super().claim(options), takes=frozenset({REPLIES[options.which]} if everything else ()))

    def behaviour(self) -> Behaviour:
        chosen = self.options
        return Behaviour(drop_reply=True, matching=chosen.matching, ending=chosen.ending, share=chosen.share)

    def knock(self) -> bytes:
        return redis_ping(self.options.matching)

    def bite(self) -> str | None:
        dropped = self.seen()
        return f"{dropped} answers of the store were thrown away" if dropped else None
