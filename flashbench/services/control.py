"""Orders to the supervisor from other processes: what faults use to take a server away and bring it back.

One request a connection, on loopback: a line of JSON ``{"secret", "service", "order"}``, answered by a line
``{"done_ns"}`` (CLOCK_MONOTONIC, when the order had been carried out) or ``{"refused"}``. Other desks, such as the
proxy's, are spoken to in the same way.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

REQUEST_LIMIT_S = 2.0  # for a whole request to arrive
ORDER_LIMIT_S = 30.0


class Order(StrEnum):
    """What can be done to a server."""

    KILL = "kill"  # SIGKILL
    START = "start"  # again, under the same address
    HANG = "hang"  # SIGSTOP
    RESUME = "resume"  # SIGCONT


class OrderRefusedError(Exception):
    """It could not be done; the text says why."""


class Caller:
    """The caller's side of a desk. ``address`` is ``host:port/secret``; ``whom`` is how refusals speak of the desk."""

    def __init__(self, address: str, whom: str) -> None:
        place, _, self._secret = address.partition("/")
        host, _, port = place.rpartition(":")
        self._at, self._whom = (host, int(port)), whom

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request. OrderRefusedError if there is none, or if it is a refusal."""
        try:
            with socket.create_connection(self._at, ORDER_LIMIT_S) as connection, connection.makefile("rwb") as line:
                line.write(json.dumps({"secret": self._secret, **request}).encode() + b"\n")
                line.flush()
                answer: dict[str, Any] = json.loads(line.readline() or b"{}")
        except (OSError, ValueError) as error:
            raise OrderRefusedError(f"{self._whom} does not answer ({error})") from error
        if not answer or "refused" in answer:
            raise OrderRefusedError(str(answer.get("refused", f"{self._whom} gave no answer")))
        return answer


def asked(line: bytes, secret: str) -> dict[str, Any]:
    """The request that a desk was handed, from somebody who knows its secret. OrderRefusedError if it is not that."""
    try:
        request = json.loads(line)
        known = hmac.compare_digest(str(request["secret"]).encode(), secret.encode())
    except (ValueError, KeyError, TypeError):
        raise OrderRefusedError("that is not an order") from None
    if not known:
        raise OrderRefusedError("wrong secret")
    return dict(request)


class Control:
    """Has the supervisor's orders carried out. ``address`` is ``StackInfo.control``."""

    def __init__(self, address: str) -> None:
        self._desk = Caller(address, "the supervisor")

    def __call__(self, service: str, order: Order) -> int:
        """Have an order carried out; the moment when it was. OrderRefusedError if it could not be."""
        return int(self._desk.ask(service=service, order=order.value)["done_ns"])


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

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            return {"done_ns": self._carry_out(asked(line, self._secret))}
        except OrderRefusedError as refusal:
            return {"refused": str(refusal)}

    def _carry_out(self, request: Mapping[str, Any]) -> int:
        try:
            service, order = self._services.get(request["service"]), Order(request["order"])
        except (ValueError, KeyError, TypeError):
            raise OrderRefusedError("that is not an order") from None
        if service is None:
            raise OrderRefusedError(f"{request['service']} is not the harness's own, so it is left alone")
        return service(order)
