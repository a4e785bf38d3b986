"""Each protection can be taken away, to show what it buys. If these fail, a trial compares a thing with itself."""

from __future__ import annotations

import asyncio
import random

import pytest

from target_app.cache.breaker import NEVER_OPENS, BreakerState, CircuitBreaker
from target_app.cache.single_flight import SingleFlight


@pytest.mark.parametrize(("shared", "computations"), [(True, 1), (False, 10)])
async def test_without_single_flight_everybody_computes(shared: bool, computations: int) -> None:
    flights: SingleFlight[str, int] = SingleFlight(shared=shared)
    begun = 0
    go_on = asyncio.Event()

    async def compute() -> int:
        nonlocal begun
        begun += 1
        await go_on.wait()
        return 7

    asking = [asyncio.create_task(flights.run("key", compute)) for _ in range(10)]
    for _ in range(3):
        await asyncio.sleep(0)
    go_on.set()

    assert await asyncio.gather(*asking) == [7] * 10
    assert begun == computations
    assert flights.most_at_once == computations


def test_a_breaker_that_never_opens_lets_every_call_through() -> None:
    breaker = CircuitBreaker(random.Random(1), NEVER_OPENS)
    for number in range(1000):
        ticket = breaker.admit(number / 100)
        assert ticket is not None
        breaker.failed(ticket, number / 100)
    assert breaker.state is BreakerState.CLOSED
