"""Orders to the supervisor from other processes: what faults use to take a server away and bring it back.

One request a connection, on loopback: a line of JSON ``{"secret", "service", "order"}``, answered by a line
``{"done_ns"}`` (CLOCK_MONOTONIC, when the order had been carried out) or ``{"refused"}``.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from enum import StrEnum

REQUEST_LIMIT_S = 2.0  # for a whole request to arrive
ORDER_LIMIT_S = 30.0


class Order(StrEnum):
    """What can be done to a server."""

    KILL = "kill"  # SIGKILL
    START = "start"  # again, under the same address
    HANG = "hang"  # SIGSTOP
    RESUME = "resume"  # SIGCONT


class OrderRefusedError(Exception):
    """The supervisor could not do it; the text says why."""


class Control:
    """The caller's side. ``address`` is ``StackInfo.control``."""

    def __init__(self, address: str) -> None:
        place, _, self._secret = address.partition("/")
        host, _, port = place.rpartition(":")
        self._at = (host, int(port))

    def __call__(self, service: str, order: Order) -> int:
        """Have an order carried out; the moment when it was. OrderRefusedError if it could not be."""
        request = {"secret": self._secret, "service": service, "order": order.value}
        try:
            with socket.create_connection(self._at, ORDER_LIMIT_S) as connection, connection.makefile("rwb") as line:
                line.write(json.dumps(request).encode() + b"\n")
                line.flush()
                answer = json.loads(line.readline() or b"{}")
        except (OSError, ValueError) as error:
            raise OrderRefusedError(f"the supervisor does not answer ({error})") from error
        if "done_ns" not in answer:
            raise OrderRefusedError(str(answer.get("refused", "the supervisor gave no answer")))
        return int(answer["done_ns"])


class ControlDesk:
    """The supervisor's side: listens, checks the secret, and calls ``carry_out(order)`` of the service named."""

    def __init__(self, services: Mapping[str, Callable[[Order], int]]) -> None:
        self._services = services
        self._secret = secrets.token_urlsafe(16)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}/{self._secret}"

    def fileno(self) -> int:
        """For ``select``: readable when somebody has come."""
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()

    def serve(self) -> None:
        """Answer whoever has come."""
        with contextlib.suppress(OSError):  # who hangs up gets no answer
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rwb") as line:
                connection.settimeout(REQUEST_LIMIT_S)
                line.write(json.dumps(self._answer(line.readline(4096))).encode() + b"\n")
                line.flush()

    def _answer(self, request: bytes) -> dict[str, object]:
        try:
            asked = json.loads(request)
            if not hmac.compare_digest(str(asked["secret"]).encode(), self._secret.encode()):
                return {"refused": "wrong secret"}
            service, order = self._services.get(asked["service"]), Order(asked["order"])
        except (ValueError, KeyError, TypeError):
            return {"refused": "that is not an order"}
        if service is None:
            return {"refused": f"{asked['service']} is not the harness's own, so it is left alone"}
        try:
            return {"done_ns": service(order)}
        except OrderRefusedError as refusal:
            return {"refused": str(refusal)}
