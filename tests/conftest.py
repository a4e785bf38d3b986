"""Options of the tests, and what holds for all of them."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--histories",
        type=int,
        default=4_000,
        help="random histories per linearizability checker, compared with a search of all orders (in full: 200000)",
    )


def pytest_configure() -> None:
    """A shell starts its background jobs deaf to Ctrl-C, and they hand that on to the programs under test."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
