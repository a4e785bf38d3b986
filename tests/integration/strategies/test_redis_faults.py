"""What each strategy does when Redis hangs, forgets, lies, is full or is not there: slower at worst, never wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio as redis_asyncio

from flashbench.services import Stack
from target_app.strategies.protocol import (
    Fenced,
    KeyReusedError,
    Limits,
    Purchase,
    RedisAwayError,
    Result,
    Sale,
    Sold,
    SoldOut,
)
from target_app.strategies.redis_lock.strategy import RELEASE
from target_app.strategies.redis_lua.counter import Decision, SkuCounter
from tests.integration.strategies.workers import Worker, working
from tests.waiting import eventually

pytestmark = pytest.mark.alone

KINDS = pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
SHORT = Limits(lock_lease_s=1.0, hold_lease_s=0.5, commit_s=0.7)


def stop_redis(stores: Stack) -> None:
    assert stores.info.redis.pid is not None
    os.kill(stores.info.redis.pid, signal.SIGSTOP)


def continue_redis(stores: Stack) -> None:
    assert stores.info.redis.pid is not None
    os.kill(stores.info.redis.pid, signal.SIGCONT)


async def answers(worker: Worker) -> bool:
    try:
        await worker.redis.call(lambda client: client.ping())
    except RedisAwayError:
        return False
    return True


async def check_counter(worker: Worker, sale: Sale) -> None:
    async def agrees() -> bool:
        counter = (await worker.strategy.stock(sale)).get("a")
        return counter is not None and (counter.held, counter.remaining) == (0, await worker.remaining(sale))

    await eventually(agrees)


async def sells_by_lock(worker: Worker, sale: Sale) -> bool:
    assert isinstance(await worker.buy(sale), Sold)
    return (await worker.orders(sale))[-1][-1] is not None


def after_commit(worker: Worker, deed: Callable[[], Awaitable[None]]) -> None:
    """Do something between the commit of a purchase and what follows it."""
    commit, commit_fenced = worker.ledger.commit, worker.ledger.commit_fenced

    async def committing(purchase: Purchase) -> Result:
        result = await commit(purchase)
        await deed()
        return result

    async def committing_fenced(purchase: Purchase, fence: int) -> Result | Fenced:
        result = await commit_fenced(purchase, fence)
        await deed()
        return result

    worker.ledger.commit = committing  # type: ignore[method-assign]
    worker.ledger.commit_fenced = committing_fenced  # type: ignore[method-assign]


@KINDS
async def test_what_fails_after_the_commit_does_not_undo_the_sale(
    kind: str, stores: Stack, postgres_url: str, redis_url: str
) -> None:
    async with working(kind, postgres_url, redis_url, SHORT) as worker:
        sale = await worker.open(stock=5)

        async def hang() -> None:
            stop_redis(stores)

        after_commit(worker, hang)
        try:
            started_s = time.monotonic()
            result = await worker.buy(sale, key="k")
            assert isinstance(result, Sold)
            assert time.monotonic() - started_s < 1.0
        finally:
            continue_redis(stores)
        await eventually(lambda: answers(worker))
        assert [key for key, *_ in await worker.orders(sale)] == ["k"]
        if kind == "redis_lua":
            await check_counter(worker, sale)


async def test_a_release_is_sent_even_if_its_request_is_cancelled_before(postgres_url: str, redis_url: str) -> None:
    """The connection is gone, so that releasing takes a while; the request is cancelled just then."""
    async with (
        working("redis_lock", postgres_url, redis_url, Limits(lock_lease_s=30.0)) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)

        async def cut_and_cancel() -> None:
            await client.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(0.01)
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)

        after_commit(worker, cut_and_cancel)
        buying = asyncio.create_task(worker.buy(sale, key="k"))
        await asyncio.wait([buying])
        assert buying.cancelled()
        assert [key for key, *_ in await worker.orders(sale)] == ["k"]

        async def free() -> bool:
            return not await client.exists(f"redis_lock:{sale.sale_id}:lock:a")

        await eventually(free)


async def test_a_lock_granted_after_its_request_gave_up_is_let_go(
    stores: Stack, postgres_url: str, redis_url: str
) -> None:
    """SET NX sent to a stopped Redis is executed when it goes on, and would lock the SKU for nobody."""
    long = Limits(lock_lease_s=30.0)
    async with (
        working("redis_lock", postgres_url, redis_url, long) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=50)
        assert await sells_by_lock(worker, sale)
        stop_redis(stores)
        try:
            assert isinstance(await worker.buy(sale), Sold)
        finally:
            continue_redis(stores)

        async def free() -> bool:
            return not await client.exists(f"redis_lock:{sale.sale_id}:lock:a")

        await eventually(lambda: answers(worker))
        await eventually(free, within_s=3.0)
        await eventually(lambda: sells_by_lock(worker, sale))


@pytest.mark.parametrize("counter", [None, "0", "3"], ids=["lost", "begun anew", "rolled back"])
async def test_a_token_counter_that_is_behind_is_raised(counter: str | None, postgres_url: str, redis_url: str) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=50)
        for _ in range(5):
            assert await sells_by_lock(worker, sale)
        key = f"redis_lock:{sale.sale_id}:token:a"
        assert await client.get(key) == b"5"
        await (client.delete(key) if counter is None else client.set(key, counter))
        assert await sells_by_lock(worker, sale), "one attempt more is enough"
        fences = [fence for *_, fence in await worker.orders(sale)]
        assert fences == [1, 2, 3, 4, 5, 6]


async def test_the_guarded_path_leaves_the_fence_alone(postgres_url: str, redis_url: str) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url) as one,
        working("redis_lock", postgres_url, None) as without,
    ):
        sale = await one.open(stock=50)
        assert await sells_by_lock(one, sale)
        assert isinstance(await without.buy(sale), Sold)
        assert await sells_by_lock(one, sale)
        assert [fence for *_, fence in await one.orders(sale)] == [1, None, 2]


async def test_a_dead_holder_delays_buyers_by_the_wait_and_no_more(postgres_url: str, redis_url: str) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=50)
        await client.set(f"redis_lock:{sale.sale_id}:lock:a", "somebody", px=20_000)
        started_s = time.monotonic()
        results = await asyncio.gather(*(worker.buy(sale) for _ in range(20)))
        assert all(isinstance(result, Sold) for result in results)
        assert 0.25 < time.monotonic() - started_s < 1.5


async def test_a_waiter_for_the_lock_is_woken_by_its_release(postgres_url: str, redis_url: str) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url, Limits(wait_s=5.0)) as one,
        working("redis_lock", postgres_url, redis_url, Limits(wait_s=5.0)) as two,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await one.open(stock=50)
        assert await sells_by_lock(one, sale)
        assert await sells_by_lock(two, sale)
        lock = f"redis_lock:{sale.sale_id}:lock:a"
        await client.set(lock, "somebody", px=20_000)
        waiting = [asyncio.create_task(worker.buy(sale)) for worker in (one, one, two)]
        await eventually(lambda: asked(client, 3))
        before = await scripts_run(client)
        await asyncio.sleep(0.1)
        assert await scripts_run(client) == before, "nobody polls"
        started_s = time.monotonic()
        await RELEASE.run(two.redis, (lock,), ("somebody", "redis_lock:released"))
        assert all(isinstance(result, Sold) for result in await asyncio.gather(*waiting))
        assert time.monotonic() - started_s < 1.0
        assert all(fence is not None for *_, fence in await one.orders(sale))


async def asked(client: redis_asyncio.Redis, least: int) -> bool:
    return await scripts_run(client) >= least


async def scripts_run(client: redis_asyncio.Redis) -> int:
    stats = await client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def test_a_hold_whose_owner_died_is_given_back(postgres_url: str, redis_url: str) -> None:
    async with working("redis_lua", postgres_url, redis_url, SHORT) as worker:
        sale = await worker.open(stock=3)
        dead = SkuCounter(worker.resources, sale.sale_id, "a")
        assert await dead.hold(Purchase(sale, "a", 2, "u", "k"), "token-of-the-dead") is Decision.HELD
        assert isinstance(await worker.buy(sale), Sold)
        # Two are held by nobody. The buyer waits, then Postgres has the last word.
        assert isinstance(await worker.buy(sale), Sold)
        await check_counter(worker, sale)
        assert isinstance(await worker.buy(sale), Sold)
        assert isinstance(await worker.buy(sale), SoldOut)


async def test_looking_at_the_stock_is_enough_to_have_dead_holds_reaped(postgres_url: str, redis_url: str) -> None:
    """The worker that held them is gone, and nobody else buys."""
    async with working("redis_lua", postgres_url, redis_url, SHORT) as one:
        sale = await one.open(stock=3)
        dead = SkuCounter(one.resources, sale.sale_id, "a")
        assert await dead.hold(Purchase(sale, "a", 2, "u", "k"), "token-of-the-dead") is Decision.HELD
    async with working("redis_lua", postgres_url, redis_url, SHORT) as other:
        counter = (await other.strategy.stock(sale))["a"]
        assert (counter.remaining, counter.held) == (1, 2)
        await check_counter(other, sale)


async def test_who_waits_for_held_units_is_woken_by_what_becomes_of_them(postgres_url: str, redis_url: str) -> None:
    limits = Limits(wait_s=5.0, hold_lease_s=20.0)
    async with (
        working("redis_lua", postgres_url, redis_url, limits) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=2)
        counter = SkuCounter(worker.resources, sale.sale_id, "a")
        assert isinstance(await worker.buy(sale, 1), Sold)
        other = Purchase(sale, "a", 1, "u", "k")
        assert await counter.hold(other, "t1") is Decision.HELD
        before = await client.pubsub_numsub("redis_lua:changed")
        assert before[0][1] == 1
        waiting = asyncio.create_task(worker.buy(sale, 1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        started_s = time.monotonic()
        await counter.give_back("t1", mark=False)
        assert isinstance(await waiting, Sold)
        assert time.monotonic() - started_s < 1.0
        assert isinstance(await worker.buy(sale, 1), SoldOut)


async def test_units_that_others_buy_while_one_waits_are_sold_out_at_once(postgres_url: str, redis_url: str) -> None:
    limits = Limits(wait_s=5.0, hold_lease_s=20.0)
    async with working("redis_lua", postgres_url, redis_url, limits) as worker:
        sale = await worker.open(stock=2)
        counter = SkuCounter(worker.resources, sale.sale_id, "a")
        assert isinstance(await worker.buy(sale, 1), Sold)
        other = Purchase(sale, "a", 1, "u", "k")
        assert await counter.hold(other, "t1") is Decision.HELD
        assert isinstance(await worker.ledger.commit(other), Sold)
        waiting = [asyncio.create_task(worker.buy(sale, 1)) for _ in range(20)]
        await asyncio.sleep(0.05)
        started_s = time.monotonic()
        await counter.settle(other, "t1")
        assert all(isinstance(result, SoldOut) for result in await asyncio.gather(*waiting))
        assert time.monotonic() - started_s < 1.0


@KINDS
async def test_workers_that_disagree_about_redis_sell_exactly_what_there_is(
    kind: str, postgres_url: str, redis_url: str
) -> None:
    async with (
        working(kind, postgres_url, redis_url) as believing,
        working(kind, postgres_url, None) as without,
        working(kind, postgres_url, redis_url) as third,
    ):
        sale = await believing.open(stock=60)
        workers = (believing, without, third)
        results = await asyncio.gather(*(workers[number % 3].buy(sale, 1 + number % 2) for number in range(120)))
        sold = [result for result in results if isinstance(result, Sold)]
        assert {type(result) for result in results} == {Sold, SoldOut}
        assert len(sold) == len(await believing.orders(sale))
        assert await believing.remaining(sale) == 0
        if kind == "redis_lua":
            await check_counter(believing, sale)
        assert isinstance(await believing.buy(sale), SoldOut)


@KINDS
async def test_a_key_is_replayed_whatever_became_of_redis(kind: str, postgres_url: str, redis_url: str) -> None:
    async with (
        working(kind, postgres_url, redis_url) as worker,
        working(kind, postgres_url, redis_url) as other,
        working(kind, postgres_url, None) as without,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=3, per_user_limit=2)
        first = await worker.buy(sale, 2, user="u", key="k")
        assert isinstance(first, Sold)

        async def check() -> None:
            for each in (worker, other, without):
                again = await each.buy(sale, 2, user="u", key="k")
                assert isinstance(again, Sold)
                assert again.replayed
                assert (again.order_id, again.remaining, again.seq) == (first.order_id, first.remaining, first.seq)
                with pytest.raises(KeyReusedError):
                    await each.buy(sale, 1, user="u", key="k")

        await check()
        await client.flushall()
        await check()
        assert isinstance(await worker.buy(sale), Sold)
        assert isinstance(await worker.buy(sale), SoldOut)
        await check()  # sold out, and past the limit: still the replay
        await client.flushall()
        await check()


@KINDS
async def test_redis_hangs_in_mid_sale_and_executes_late(
    kind: str, stores: Stack, postgres_url: str, redis_url: str
) -> None:
    async with (
        working(kind, postgres_url, redis_url, SHORT) as one,
        working(kind, postgres_url, redis_url, SHORT) as two,
    ):
        sale = await one.open(stock=10_000)
        took_s: list[float] = []
        end_s = time.monotonic() + 2.0

        async def buyer(worker: Worker, number: int) -> int:
            units = 0
            while time.monotonic() < end_s:
                started_s = time.monotonic()
                quantity = 1 + number % 3
                assert isinstance(await worker.buy(sale, quantity), Sold)
                units += quantity
                took_s.append(time.monotonic() - started_s)
            return units

        buyers = [asyncio.create_task(buyer((one, two)[number % 2], number)) for number in range(8)]
        try:
            for _ in range(2):
                await asyncio.sleep(0.2)
                stop_redis(stores)
                await asyncio.sleep(0.5)
                continue_redis(stores)
        finally:
            continue_redis(stores)
        units = sum(await asyncio.gather(*buyers))
        assert max(took_s) < 2.0
        assert await one.remaining(sale) == 10_000 - units
        if kind == "redis_lua":
            await check_counter(one, sale)
        else:
            await eventually(lambda: answers(one))
            await eventually(lambda: sells_by_lock(one, sale))


@KINDS
async def test_a_sale_opened_without_redis_is_taken_up_when_it_is_back(
    kind: str, stores: Stack, postgres_url: str, redis_url: str
) -> None:
    async with working(kind, postgres_url, redis_url, SHORT) as worker:
        stop_redis(stores)
        try:
            sale = await worker.open(stock=20)
            for _ in range(8):
                assert isinstance(await worker.buy(sale), Sold)
        finally:
            continue_redis(stores)
        await eventually(lambda: answers(worker))
        if kind == "redis_lua":
            assert isinstance(await worker.buy(sale), Sold)
            await check_counter(worker, sale)
        else:
            await eventually(lambda: sells_by_lock(worker, sale))


@KINDS
async def test_a_full_redis_refuses_no_buyer(kind: str, postgres_url: str, redis_url: str) -> None:
    async with (
        working(kind, postgres_url, redis_url, SHORT) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=20)
        assert isinstance(await worker.buy(sale), Sold)
        await client.config_set("maxmemory", 1)
        try:
            for _ in range(5):
                assert isinstance(await worker.buy(sale), Sold)
        finally:
            await client.config_set("maxmemory", 0)
        assert await worker.remaining(sale) == 14
        if kind == "redis_lua":
            await check_counter(worker, sale)
        else:
            await eventually(lambda: sells_by_lock(worker, sale))


@KINDS
async def test_every_key_in_redis_lives_no_longer_than_its_sale(kind: str, postgres_url: str, redis_url: str) -> None:
    async with (
        working(kind, postgres_url, redis_url) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5, skus=2, per_user_limit=3)
        retention_ms = worker.resources.limits.retention_s * 1000

        async def check() -> None:
            keys = [key async for key in client.scan_iter()]
            assert keys
            for key in keys:
                assert key.startswith(f"{kind}:".encode())
                assert 0 < await client.pttl(key) <= retention_ms, key

        for sku in "ab":
            await asyncio.gather(*(worker.buy(sale, 2, sku=sku, user="u") for _ in range(4)))
            await asyncio.gather(*(worker.buy(sale, 1, sku=sku) for _ in range(9)))
        await check()
        await client.flushall()
        await asyncio.gather(*(worker.buy(sale, 1) for _ in range(3)))
        await check()
