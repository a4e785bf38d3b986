"""What wraps every request, as plain ASGI: it is on the hot path."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from target_app import timing

LARGEST_BODY_BYTES = 1_000_000  # a sale of a thousand items takes a tenth of it


class ServerTiming:
    """Adds Server-Timing to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        timing.begin()
        start = time.perf_counter_ns()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = timing.header(time.perf_counter_ns() - start)
                message["headers"] = [*message["headers"], (b"server-timing", value.encode())]
            await send(message)

        await self._app(scope, receive, send_timed)


class BodyLimit:
    """Refuses a body that is too large as it arrives, before it fills the memory; nobody has to state a length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY_BYTES:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
            return message

        await self._app(scope, receive_counted, send)
