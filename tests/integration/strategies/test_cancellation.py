"""A request is cancelled at each of its awaits in turn. No lock may outlive its lease, no unit may be lost, and the
same key tried again must get a true answer."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as redis_asyncio

from target_app.strategies.protocol import Limits, Sale, Sold, SoldOut
from tests.integration.strategies.awaits import CancelledAt
from tests.integration.strategies.workers import Worker, working
from tests.waiting import eventually

SHORT = Limits(wait_s=0.1, lock_lease_s=1.0, hold_lease_s=0.5, commit_s=0.7)
MOST_AWAITS = 60


async def cancel_everywhere(worker: Worker, sale: Sale, quantity: int = 1) -> int:
    """Buy once for every await that a purchase has, cancelling it there; then try the key again. Returns the number."""
    for suspension in range(1, MOST_AWAITS):
        key = f"key{suspension}"
        attempt = CancelledAt(worker.buy(sale, quantity, user="u", key=key), suspension)
        task = asyncio.create_task(attempt.run())
        await asyncio.wait([task])
        if not attempt.came_to_it:
            assert isinstance(task.result(), Sold | SoldOut)
            return suspension
        assert task.cancelled() or isinstance(task.result(), Sold | SoldOut)
        again = await worker.buy(sale, quantity, user="u", key=key)
        first = None if task.cancelled() else task.result()
        if isinstance(first, Sold):
            assert isinstance(again, Sold)
            assert again.order_id == first.order_id
        assert isinstance(again, Sold | SoldOut), (suspension, again)
    raise AssertionError("a purchase has more awaits than expected")


async def no_lock(client: redis_asyncio.Redis) -> bool:
    return not await client.keys("redis_lock:*:lock:*")


async def check_counter(worker: Worker, sale: Sale) -> None:
    async def agrees() -> bool:
        counter = (await worker.strategy.stock(sale))["a"]
        return counter.held == 0 and counter.remaining == await worker.remaining(sale)

    await eventually(agrees)


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_cancelled_at_every_await_of_a_sale(kind: str, postgres_url: str, redis_url: str) -> None:
    async with working(kind, postgres_url, redis_url, SHORT) as worker:
        sale = await worker.open(stock=1000)
        awaits = await cancel_everywhere(worker, sale)
        assert awaits > 5
        orders = await worker.orders(sale)
        assert sorted(key for key, *_ in orders) == sorted(f"key{number}" for number in range(1, awaits + 1))
        assert await worker.remaining(sale) == 1000 - awaits
        if kind == "redis_lua":
            await check_counter(worker, sale)
        else:
            async with redis_asyncio.Redis.from_url(redis_url) as client:
                await eventually(lambda: no_lock(client), within_s=2 * SHORT.lock_lease_s)
            assert isinstance(await worker.buy(sale, key="after"), Sold)
            assert (await worker.orders(sale))[-1][-1] is not None, "the lock is of use again"


async def test_cancelled_at_every_await_of_waiting_for_the_lock(postgres_url: str, redis_url: str) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url, SHORT) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=1000)
        await client.set(f"redis_lock:{sale.sale_id}:lock:a", "somebody", px=60_000)
        awaits = await cancel_everywhere(worker, sale)
        assert await worker.remaining(sale) == 1000 - awaits
        assert await client.get(f"redis_lock:{sale.sale_id}:lock:a") == b"somebody"


async def test_cancelled_at_every_await_of_waiting_for_holds(postgres_url: str, redis_url: str) -> None:
    """The last units are held by somebody who does not come back."""
    async with (
        working("redis_lua", postgres_url, redis_url, SHORT) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=100)
        await client.hset(
            f"redis_lua:{sale.sale_id}:stock:a", mapping={"avail": 0, "held": 100, "h:dead": "100:99999999999999"}
        )
        awaits = await cancel_everywhere(worker, sale)
        assert await worker.remaining(sale) == 100 - awaits


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_cancelled_at_every_await_of_a_refusal(kind: str, postgres_url: str, redis_url: str) -> None:
    async with working(kind, postgres_url, redis_url, SHORT) as worker:
        sale = await worker.open(stock=3)
        await cancel_everywhere(worker, sale, quantity=4)
        assert await worker.remaining(sale) == 3
        assert isinstance(await worker.buy(sale, 3), Sold)


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_cancelled_at_every_await_without_redis(kind: str, postgres_url: str) -> None:
    async with working(kind, postgres_url, None, SHORT) as worker:
        sale = await worker.open(stock=1000)
        awaits = await cancel_everywhere(worker, sale)
        assert await worker.remaining(sale) == 1000 - awaits
