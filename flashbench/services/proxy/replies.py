"""Which of a server's answers on one connection are thrown away."""

from __future__ import annotations

from random import Random

from flashbench.services.proxy.behaviour import Behaviour


class Replies:
    """Follows the turns of one connection. It must see a request when it goes on, an answer when it comes in."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.asking = False  # the client spoke last
        self._decided = False  # a request of this turn has matched, and was drawn for
        self._chosen = False
        self._tail = b""  # of this turn's request, since a text may lie across two pieces
        self.silent = False  # nothing from the server is passed on any more

    def asked(self, request: bytes, behaviour: Behaviour) -> None:
        """Bytes of a request go on to the server."""
        if not self.asking:
            self.asking, self._decided, self._chosen, self._tail = True, False, False, b""
        if not behaviour.drop_reply or self._decided:
            return
        text = behaviour.matching.encode()
        seen = self._tail + request
        if text in seen:
            self._decided = True
            self._chosen = self._chance.random() < behaviour.share
        else:
            self._tail = seen[-(len(text) - 1) :] if len(text) > 1 else b""

    def dropped(self, behaviour: Behaviour) -> bool:
        """Bytes have come from the server: whether they are thrown away."""
        self.asking = False
        if self._chosen and behaviour.drop_reply and behaviour.ending == "silence":
            self.silent = True
        return self.silent or (self._chosen and behaviour.drop_reply)
