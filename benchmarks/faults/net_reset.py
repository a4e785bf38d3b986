"""Every connection between the app and a store is reset, once; new ones are taken at once."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from benchmarks.fault import Claim, FaultError, FaultOptions, Scene
from benchmarks.links import ACCEPTS, LinkFault
from benchmarks.probes import PATIENCE_S, SILENCE_S, wait_for
from flashbench.services.proxy.behaviour import Behaviour


class NetReset(LinkFault):
    """What was under way may have happened or not. One connection more is made, which must be reset with the others."""

    shows = "resets"
    momentary = True

    @classmethod
    def claim(cls, options: FaultOptions) -> Claim:
        """A connection that stands is all it needs: it is reset whether anything flows or not."""
        return Claim(super().claim(options).itself, relies=frozenset({ACCEPTS[options.which]}))

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._standing: socket.socket | None = None

    def behaviour(self) -> Behaviour:
        return Behaviour(reset=True)

    def inject(self) -> None:
        store, links = self.options.store, self.scene.links
        taken = links.proxy.counts(store).connections
        self._standing = links.connect(store)
        self._standing.settimeout(SILENCE_S)
        wait_for(lambda: links.proxy.counts(store).connections > taken, PATIENCE_S, "a connection over the link")
        self._before = links.proxy.counts(store)
        self.began_ns = links.ask_once(store, self.behaviour())

    def bite(self) -> str | None:
        if self._standing is None or not self.risen():
            return None
        try:
            self._standing.recv(1)
        except ConnectionResetError:
            return f"{self.risen()} connections were reset, one of the harness's own among them"
        except TimeoutError:
            return None
        raise FaultError("the connection of the harness's own was ended, and not reset")

    def heal(self) -> None:
        if self._standing is not None:
            self._standing.close()
        self._standing = None
        super().heal()
