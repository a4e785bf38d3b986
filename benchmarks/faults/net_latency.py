"""The network between the app and a store is slow: latency, and jitter on top of it, each way."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from benchmarks.links import LinkFault
from flashbench.services.proxy.behaviour import Behaviour


class NetLatency(LinkFault):
    """Nothing is lost or reordered within a connection."""

    shows = "delayed_chunks"
    needs_answers = False

    class Options(LinkFault.Options):
        """``latency_ms`` is added each way; ``jitter_ms`` adds anything from nothing to itself."""

        latency_ms: Annotated[float, Field(ge=0.1, le=10_000)] = 20.0
        jitter_ms: Annotated[float, Field(ge=0, le=10_000)] = 0.0

    options: Options

    def behaviour(self) -> Behaviour:
        return Behaviour(latency_ms=self.options.latency_ms, jitter_ms=self.options.jitter_ms)

    def bite(self) -> str | None:
        delayed = self.seen()
        return f"{delayed} times what was sent over the link was held back" if delayed else None
