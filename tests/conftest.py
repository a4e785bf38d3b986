"""Options of the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--histories",
        type=int,
        default=4_000,
        help="random histories per linearizability checker, compared with a search of all orders (in full: 200000)",
    )
