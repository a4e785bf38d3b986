"""What uvloop says of a connection that was reset while it lay idle: a bare RuntimeError, on the next write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_SAID = "the handler is closed"


@contextmanager
def closed_is_lost() -> Iterator[None]:
    """Make it the ConnectionResetError that it is; any other RuntimeError is a bug, and passes."""
    try:
        yield
    except RuntimeError as error:
        if _SAID not in str(error):
            raise
        raise ConnectionResetError("the connection had been reset") from error
