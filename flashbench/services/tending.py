"""What the supervisor does while a stack is up: carries out orders, and brings back a server that ended by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from flashbench.services.child import StartFailedError
from flashbench.services.control import Order, OrderRefusedError
from flashbench.services.server import Server

BACK_AFTER_S = 2.0  # what ends unasked comes back so much later, as it would under a service manager


class Tended:
    """A server that obeys orders. Killed on order it stays away until it is ordered back."""

    def __init__(self, server: Server, check: Callable[[], None], say: Callable[[str], None]) -> None:
        self._server, self._check, self._say = server, check, say
        self._away_on_order = False
        self._missed_since: float | None = None

    def __call__(self, order: Order) -> int:
        """Carry an order out; the moment when it was."""
        if order is Order.KILL:
            self._away_on_order = True
            self._server.kill()
        elif order is Order.START:
            self._start()
        elif order in self._server.signals:
            self._server.signal(self._server.signals[order])
        else:
            raise OrderRefusedError(f"{self._server.name} can't be told to {order.value}")
        return time.monotonic_ns()

    def tend(self, now_s: float) -> None:
        """Start again what has ended unasked."""
        if self._away_on_order or self._server.pid is not None:
            self._missed_since = None
            return
        if self._missed_since is None:
            self._missed_since = now_s
            name, returns = self._server.name, self._server.returns
            self._say(f"{name} has ended unasked; it is started again, {returns}, in {BACK_AFTER_S:g} s")
        elif now_s - self._missed_since >= BACK_AFTER_S:
            try:
                self._start()
            except OrderRefusedError as refusal:
                self._say(str(refusal))
                self._missed_since = now_s

    def _start(self) -> None:
        try:
            self._server.start(self._check)
        except StartFailedError as failure:
            raise OrderRefusedError(f"{self._server.name} did not come back: {failure}") from failure
        self._away_on_order = False
