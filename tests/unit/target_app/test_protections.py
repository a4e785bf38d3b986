"""Each protection can be taken away, to show what it buys. If these fail, a trial compares a thing with itself."""

from __future__ import annotations

import asyncio
import random

import pytest

from benchmarks import catalogue
from benchmarks.suite import find, read
from target_app.cache.breaker import NEVER_OPENS, BreakerState, CircuitBreaker
from target_app.cache.single_flight import SingleFlight
from target_app.settings import Settings


def settings(**given: object) -> Settings:
    return Settings.model_validate({"database_url": "postgresql://nowhere", "admin_token": "unused-here", **given})


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


@pytest.mark.parametrize(
    ("pool", "reads", "purchases"),
    [(20, 4, 16), (5, 4, 1), (20, 20, 20 + 1024), (20, 10**9, 20 + 1024), (1, 4, 1 + 1024)],
    ids=["as it comes", "hardly any", "as many as there are", "off", "too few to share out"],
)
def test_connections_set_aside_for_reads_are_no_purchase_s(pool: int, reads: int, purchases: int) -> None:
    """As many for reads as there are connections: that is how the bulkhead is taken away."""
    chosen = settings(database_pool=pool, cache_bypass_reads=reads)
    assert chosen.purchase_connections == purchases


def test_no_purchase_may_take_two_seconds_by_its_limits() -> None:
    """The wait for a connection and the transaction together; what is told to Redis after it adds one command."""
    chosen = settings()
    assert chosen.purchase_limit_s + chosen.redis_connect_s + chosen.redis_command_s <= 2.0
    assert chosen.in_flight_wait_s < 2.0


def test_whoever_lets_purchases_wait_longer_has_to_lengthen_the_leases() -> None:
    with pytest.raises(ValueError, match="must be shorter than lease_s"):
        settings(database_wait_s=8)

    patient = settings(database_wait_s=8, lease_s=11)
    assert patient.limits.commit_s < patient.limits.hold_lease_s == patient.limits.lock_lease_s == 11
    assert patient.longest_timer_s == 11


@pytest.mark.parametrize("name", [entry.name for entry in catalogue.suites()])
def test_the_app_can_be_set_as_the_suites_ask_for(name: str) -> None:
    as_it_is = settings().model_dump()
    for scenario in read(find(name)).scenarios:
        chosen = settings(**scenario.app).model_dump()
        assert {key for key in chosen if chosen[key] != as_it_is[key]} == set(scenario.app)
