"""Stacks with the app, one for all tests that can share it: faults leave it as it was, or the next test tells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flashbench.services import Stack, StackInfo, StackRequest
from tests.integration.faults.shop import POOL


@pytest.fixture(scope="session")
def faulty_stack() -> Iterator[StackInfo]:
    """Stores and two workers."""
    request = StackRequest(app_environment={"TARGET_APP_DATABASE_POOL": str(POOL)})
    with Stack.start(request, progress=lambda _: None) as stack:
        yield stack.info


@pytest.fixture(scope="session")
def proxied_stack() -> Iterator[StackInfo]:
    """The same through the proxy, with a replica of Redis and failpoints."""
    request = StackRequest(
        app_environment={"TARGET_APP_DATABASE_POOL": str(POOL)}, proxied=True, replica=True, failpoints=True
    )
    with Stack.start(request, progress=lambda _: None) as stack:
        yield stack.info
