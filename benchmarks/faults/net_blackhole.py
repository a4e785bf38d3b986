"""The network between the app and a store swallows everything without a word; what was sent arrives in the end."""

from __future__ import annotations

from benchmarks.links import LinkFault
from flashbench.services.proxy.behaviour import Behaviour


class NetBlackhole(LinkFault):
    """Connections stand and new ones are taken, as when packets are dropped and sent again."""

    shows = "held_bytes"

    def behaviour(self) -> Behaviour:
        return Behaviour(blackhole=True)

    def bite(self) -> str | None:
        held = self.seen()
        return f"{held} bytes have been taken and not passed on" if held else None
