"""Two workers sell one sale at once, while Redis forgets and drops connections: ledger and counter must agree."""

from __future__ import annotations

import asyncio
import random
from collections import Counter as Tally
from itertools import pairwise

import pytest
import redis.asyncio as redis_asyncio

from target_app.strategies.protocol import Limited, Sale, Sold, SoldOut
from tests.integration.strategies.workers import Worker, working
from tests.waiting import eventually


async def disturb(url: str, rng: random.Random, stop: asyncio.Event) -> int:
    """Flush, forget the scripts, cut the connections; until told to stop."""
    done = 0
    async with redis_asyncio.Redis.from_url(url) as client:
        while not stop.is_set():
            await asyncio.sleep(rng.uniform(0.01, 0.05))
            match rng.randrange(3):
                case 0:
                    await client.flushall()
                case 1:
                    await client.script_flush()
                case 2:
                    await client.client_kill_filter(_type="normal", skipme=True)
            done += 1
    return done


async def watch(worker: Worker, sale: Sale, stop: asyncio.Event) -> int:
    """The counter, read first, is never less than what remains in Postgres afterwards; until told to stop."""
    seen = 0
    while not stop.is_set():
        counter = (await worker.strategy.stock(sale)).get("a")
        remaining = await worker.remaining(sale)
        if counter is not None and counter.remaining is not None and counter.held is not None:
            assert counter.remaining >= 0
            assert counter.remaining + counter.held >= remaining, "too low: buyers would be refused wrongly"
            seen += 1
        await asyncio.sleep(0.002)
    return seen


async def check_ledger(worker: Worker, sale: Sale, initial: int, sold_keys: set[str]) -> None:
    """Every order adds up, and exactly the keys that were told so are sold."""
    orders = await worker.orders(sale)
    assert {key for key, *_ in orders} == sold_keys
    running = initial
    for key, quantity, remaining, _, _ in orders:
        running -= quantity
        assert remaining == running, key
    assert running >= 0
    assert [seq for *_, seq, _ in orders] == list(range(1, len(orders) + 1))
    fences = [fence for *_, fence in orders if fence is not None]
    assert all(earlier < later for earlier, later in pairwise(fences))


async def reseed(worker: Worker, sale: Sale, stop: asyncio.Event) -> int:
    """Seed again and again, over the holds of those who are buying; until told to stop."""
    done = 0
    while not stop.is_set():
        await worker.strategy.reconcile(sale)
        done += 1
        await asyncio.sleep(0.003)
    return done


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
@pytest.mark.parametrize("disturbed", [False, True], ids=["calm", "disturbed"])
async def test_two_workers_sell_exactly_what_there_is(
    kind: str, disturbed: bool, postgres_url: str, redis_url: str
) -> None:
    rng = random.Random(7)
    stop = asyncio.Event()
    async with (
        working(kind, postgres_url, redis_url) as one,
        working(kind, postgres_url, redis_url) as two,
        working(kind, postgres_url, redis_url) as watcher,
    ):
        sale = await one.open(stock=200)
        trouble = asyncio.create_task(disturb(redis_url, rng, stop)) if disturbed else None
        watching = asyncio.create_task(watch(watcher, sale, stop)) if kind == "redis_lua" else None
        keys = [f"k{number}" for number in range(300)]
        results = await asyncio.gather(
            *(rng.choice((one, two)).buy(sale, rng.randint(1, 3), key=key) for key in keys), return_exceptions=True
        )
        stop.set()
        if trouble is not None:
            assert await trouble > 0
        if watching is not None:
            assert await watching > 0
        kinds = Tally(type(result).__name__ for result in results)
        assert set(kinds) <= {"Sold", "SoldOut", "Unavailable"}, kinds
        sold = {key for key, result in zip(keys, results, strict=True) if isinstance(result, Sold)}
        refused = [result for result in results if isinstance(result, SoldOut)]
        assert sold
        assert refused
        await check_ledger(one, sale, 200, sold)
        remaining = await one.remaining(sale)

        async def reconciled() -> bool:
            await one.strategy.reconcile(sale)
            counter = (await two.strategy.stock(sale)).get("a")  # none while a breaker is still open
            return counter is not None and (counter.remaining, counter.held) == (remaining, 0)

        if kind == "redis_lua":
            await eventually(reconciled)


async def test_seeding_while_others_buy_never_makes_the_counter_too_low(postgres_url: str, redis_url: str) -> None:
    stop = asyncio.Event()
    async with (
        working("redis_lua", postgres_url, redis_url) as one,
        working("redis_lua", postgres_url, redis_url) as two,
        working("redis_lua", postgres_url, redis_url) as third,
    ):
        sale = await one.open(stock=150)
        seeding = asyncio.create_task(reseed(third, sale, stop))
        watching = asyncio.create_task(watch(third, sale, stop))
        keys = [f"k{number // 2}" for number in range(300)]  # each twice
        results = await asyncio.gather(
            *(
                (one, two)[number % 2].buy(sale, 1 + number // 2 % 3, user="u", key=key)
                for number, key in enumerate(keys)
            )
        )
        stop.set()
        assert await seeding > 5
        assert await watching > 5
        sold = {key for key, result in zip(keys, results, strict=True) if isinstance(result, Sold)}
        assert {type(result) for result in results} == {Sold, SoldOut}
        await check_ledger(one, sale, 150, sold)


async def test_a_replay_takes_nothing_from_the_counter(postgres_url: str, redis_url: str) -> None:
    async with working("redis_lua", postgres_url, redis_url) as worker:
        sale = await worker.open(stock=10)
        results = [await worker.buy(sale, 2, user="u", key="k") for _ in range(4)]
        assert all(isinstance(result, Sold) for result in results)
        counter = (await worker.strategy.stock(sale))["a"]
        assert counter.remaining is not None
        assert counter.remaining >= await worker.remaining(sale) == 8


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_limits_hold_across_skus_in_parallel(kind: str, postgres_url: str, redis_url: str) -> None:
    async with working(kind, postgres_url, redis_url) as one, working(kind, postgres_url, redis_url) as two:
        sale = await one.open(stock=100, skus=4, per_user_limit=3)
        results = await asyncio.gather(
            *(
                worker.buy(sale, 1, sku=sku, user=user)
                for user in ("u1", "u2", "u3")
                for sku in "abcd"
                for worker in (one, two)
            )
        )
        assert sum(isinstance(result, Sold) for result in results) == 9
        assert sum(isinstance(result, Limited) for result in results) == 15
        assert await one.ledger.bought(sale) == {"u1": 3, "u2": 3, "u3": 3}


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_twins_in_two_workers_on_the_last_unit_both_say_sold(
    kind: str, postgres_url: str, redis_url: str
) -> None:
    async with working(kind, postgres_url, redis_url) as one, working(kind, postgres_url, redis_url) as two:
        for attempt in range(20):
            sale = await one.open(stock=1)
            key = f"twin{attempt}"
            first, second = await asyncio.gather(one.buy(sale, user="u", key=key), two.buy(sale, user="u", key=key))
            assert isinstance(first, Sold), (first, second)
            assert isinstance(second, Sold), (first, second)
            assert first.order_id == second.order_id
            assert first.replayed != second.replayed


async def test_a_counter_at_rest_comes_to_agree_by_itself(postgres_url: str, redis_url: str) -> None:
    """A Redis that comes back with an old state says nothing of it; only a comparison finds out."""
    async with working("redis_lua", postgres_url, redis_url) as worker:
        sale = await worker.open(stock=10)
        key = f"redis_lua:{sale.sale_id}:stock:a"
        async with redis_asyncio.Redis.from_url(redis_url) as client:
            old = await client.dump(key)
            assert old is not None
            assert isinstance(await worker.buy(sale, 4), Sold)
            await client.restore(key, 60_000, old, replace=True)

        async def agrees() -> bool:
            return (await worker.strategy.stock(sale))["a"].remaining == 6

        assert not await agrees()
        await eventually(agrees)
