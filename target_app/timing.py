"""Time spent in each store while one request is served, for Server-Timing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Store = Literal["redis", "postgres"]

_spent: ContextVar[dict[Store, int] | None] = ContextVar("spent", default=None)


def begin() -> None:
    """A request starts: what is spent from here on, in this context and in tasks made from it, is its own."""
    _spent.set({"redis": 0, "postgres": 0})


@contextmanager
def spent(store: Store) -> Iterator[None]:
    """Count the time inside as spent in ``store``."""
    account = _spent.get()
    start = time.perf_counter_ns()
    try:
        yield
    finally:
        if account is not None:
            account[store] += time.perf_counter_ns() - start


def header(app_ns: int) -> str:
    """The value of Server-Timing, in milliseconds (W3C Server Timing)."""
    account = _spent.get() or {"redis": 0, "postgres": 0}
    return (
        f"app;dur={app_ns / 1e6:.3f}, redis;dur={account['redis'] / 1e6:.3f}, "
        f"postgres;dur={account['postgres'] / 1e6:.3f}"
    )
