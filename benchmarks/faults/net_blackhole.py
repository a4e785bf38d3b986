"""The network between the app and a store swallows everything without a word; what was sent arrives in the end."""

from __future__ import annotations

from benchmarks.fault import Claim, FaultOptions
from benchmarks.links import FLOW, LinkFault
from flashbench.services.proxy.behaviour import Behaviour


class NetBlackhole(LinkFault):
    """Connections stand and new ones are taken, as when packets are dropped and sent again."""

    shows = "held_bytes"

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """It needs nobody at the other end, and nothing else is to be seen of the link meanwhile."""
        return Claim(super().claim(options).itself, takes=frozenset({FLOW[options.which]}))

    def behaviour(self) -> Behaviour:
        return Behaviour(blackhole=True)

    def bite(self) -> str | None:
        held = self.seen()
        return f"{held} bytes have been taken and not passed on" if held else None
