"""If these fail, the cache shields nothing, keeps what it must not keep, or brings an old value back."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from target_app.cache.guarded_redis import BreakerRedis
from target_app.cache.products import CacheResult, ProductCache, item_key
from target_app.ledger.database import PostgresPool
from target_app.ledger.postgres import PostgresLedger
from target_app.settings import Settings
from target_app.strategies.protocol import Item
from tests.integration.target_app.client import Client, NewWorker, counted, database_reads
from tests.waiting import eventually

Caches = tuple[PostgresLedger, list[ProductCache]]

STRATEGIES = ["row_lock", "redis_lock", "redis_lua"]


@pytest.fixture
def new_worker(new_worker: NewWorker) -> NewWorker:
    """Workers that do not take a busy machine for a Redis that is away: nothing here is about its limits."""

    async def make(**settings: Any) -> Client:
        return await new_worker(**{"redis_command_s": 5, "redis_connect_s": 5, **settings})

    return make


async def state(worker: Client, sale: str, sku: str = "sku-1") -> tuple[str, int]:
    answer = await worker.http.get(f"/sales/{sale}/products/{sku}")
    return answer.headers["x-cache"], answer.status_code


async def test_the_first_read_misses_and_the_next_hits_with_an_age_and_a_version(new_worker: NewWorker) -> None:
    worker = await new_worker(cache_ttl_s=30, cache_early_beta=0)
    sale = await worker.open(stock=5)
    await worker.buy(sale)

    assert await state(worker, sale) == ("miss", 200)
    answer = await worker.http.get(f"/sales/{sale}/products/sku-1")

    assert answer.headers["x-cache"] == "hit"
    assert answer.headers["age"] == "0"
    assert answer.json() == {"sku": "sku-1", "price": 100, "remaining": 4, "version": 1}


async def test_what_does_not_exist_is_remembered_for_a_shorter_time(new_worker: NewWorker, redis_url: str) -> None:
    worker = await new_worker(cache_ttl_s=30, cache_negative_ttl_s=5)
    sale = await worker.open()

    assert [await state(worker, sale, "nothing") for _ in range(2)] == [("negative", 404)] * 2

    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl(item_key(UUID(sale), "nothing")) <= 6000


async def test_without_redis_reads_bypass_it(new_worker: NewWorker) -> None:
    worker = await new_worker(redis_url=None)
    sale = await worker.open()

    assert await state(worker, sale) == ("bypass", 200)


async def test_the_sale_of_the_last_unit_makes_the_cache_forget(new_worker: NewWorker) -> None:
    worker = await new_worker(cache_ttl_s=30, cache_early_beta=0)
    sale = await worker.open(stock=2)
    await worker.buy(sale)
    await state(worker, sale)
    assert (await worker.http.get(f"/sales/{sale}/products/sku-1")).json()["remaining"] == 1

    await worker.buy(sale)

    assert (await worker.http.get(f"/sales/{sale}/products/sku-1")).json() == {
        "sku": "sku-1",
        "price": 100,
        "remaining": 0,
        "version": 2,
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_key_in_redis_has_a_ttl(new_worker: NewWorker, redis_url: str, strategy: str) -> None:
    worker = await new_worker()
    sale = await worker.open(strategy, stock=5, skus=2, per_user_limit=4)
    await asyncio.gather(*(worker.buy(sale, sku=f"sku-{1 + number % 2}", user=f"u{number}") for number in range(30)))
    await asyncio.gather(*(state(worker, sale, sku) for sku in ("sku-1", "sku-2", "nothing")))

    with redis.Redis.from_url(redis_url) as client:
        keys = list(client.scan_iter())
        assert any(key.startswith(b"product:") for key in keys)
        forever = [key for key in keys if client.pttl(key) < 0]

    assert forever == []


@pytest.mark.parametrize("with_redis", [True, False])
async def test_database_reads_are_counted_whether_they_fill_the_cache_or_go_past_it(
    new_worker: NewWorker, with_redis: bool
) -> None:
    redis = {} if with_redis else {"redis_url": None}
    worker = await new_worker(cache_ttl_s=30, cache_early_beta=0, cache_own_copies=0, **redis)
    sale = await worker.open()
    before = await database_reads(worker)

    for _ in range(3):
        await state(worker, sale)

    async def all_counted() -> bool:
        return await database_reads(worker) - before == (1 if with_redis else 3)

    await eventually(all_counted)


async def test_without_redis_a_worker_remembers_what_it_has_read(new_worker: NewWorker) -> None:
    worker = await new_worker(redis_url=None, cache_ttl_s=30, cache_negative_ttl_s=30)
    sale = await worker.open(stock=5)

    assert [await state(worker, sale) for _ in range(3)] == [("bypass", 200), ("hit", 200), ("hit", 200)]
    assert [await state(worker, sale, "nothing") for _ in range(2)] == [("bypass", 404), ("negative", 404)]


async def test_without_redis_a_worker_remembers_for_no_longer_than_the_ttl(new_worker: NewWorker) -> None:
    worker = await new_worker(redis_url=None, cache_ttl_s=0.2, cache_jitter=0)
    sale = await worker.open(stock=5)
    await state(worker, sale)
    await worker.buy(sale)

    async def expired() -> bool:
        answer = await worker.http.get(f"/sales/{sale}/products/sku-1")
        return bool(answer.json()["remaining"] == 4)

    await eventually(expired)


@pytest.mark.parametrize("own_copies", [1024, 0])
async def test_without_redis_the_rate_of_database_reads_is_bounded_by_the_ttl(
    new_worker: NewWorker, own_copies: int
) -> None:
    """However many look. Without own copies nothing bounds it but what the database bears: the bound can be passed."""
    ttl_s, jitter = 0.4, 0.25
    worker = await new_worker(redis_url=None, cache_ttl_s=ttl_s, cache_jitter=jitter, cache_own_copies=own_copies)
    sale = await worker.open(stock=5)
    began_s, before, looks = time.monotonic(), await database_reads(worker), 0

    async def look() -> None:
        nonlocal looks
        while time.monotonic() < began_s + 2:
            assert (await state(worker, sale))[1] == 200
            looks += 1

    await asyncio.gather(*(look() for _ in range(20)))
    most = 1 + (time.monotonic() - began_s) / (ttl_s * (1 - jitter))
    told = await database_reads(worker)
    await state(worker, sale, "nothing")

    async def told_since() -> bool:  # of all that was read by now, and perhaps of what was not there
        return await database_reads(worker) > told

    await eventually(told_since)
    reads = await database_reads(worker) - before - 1

    assert reads > 2
    assert (reads <= most) == (own_copies > 0), f"{reads} reads for {looks} looks, {most:.1f} allowed"


async def test_a_worker_forgets_its_own_copy_when_it_sells_the_last_unit(new_worker: NewWorker) -> None:
    worker = await new_worker(redis_url=None, cache_ttl_s=30)
    sale = await worker.open(stock=1)
    await state(worker, sale)

    await worker.buy(sale)

    assert (await worker.http.get(f"/sales/{sale}/products/sku-1")).json()["remaining"] == 0


@pytest.fixture
def without_room(redis_url: str) -> Iterator[Callable[[], None]]:
    """Call it, and Redis takes nothing in until the test has ended."""
    with redis.Redis.from_url(redis_url) as client:

        def fill() -> None:
            client.config_set("maxmemory", 1)

        yield fill
        client.config_set("maxmemory", 0)


@pytest.mark.parametrize("there", ["nothing", "stale", "tombstone"])
async def test_a_redis_without_room_shields_the_database_through_the_worker(
    caches: Caches, redis_url: str, without_room: Callable[[], None], there: str
) -> None:
    ledger, (cache, other) = caches
    sale = await ledger.create_sale("row_lock", [Item("a", 5, 100)], 0)
    key = item_key(sale.sale_id, "a")
    if there == "stale":
        await other._put(key, 0, '{"old": true}', 1, 1, 30_000)
        await asyncio.sleep(0.01)
    elif there == "tombstone":
        await other.invalidate(sale.sale_id, "a", version=0)
    without_room()

    readings = [await cache.read(sale.sale_id, "a") for _ in range(4)]

    assert [each.result for each in readings] == [CacheResult.BYPASS, *[CacheResult.HIT] * 3]
    assert {each.product.remaining for each in readings if each.product} == {5}
    assert ledger.product_reads == 1
    with redis.Redis.from_url(redis_url) as client:
        assert client.exists(key) == (there != "nothing")


async def test_what_a_worker_remembers_yields_to_what_redis_has(
    caches: Caches, without_room: Callable[[], None], redis_url: str
) -> None:
    ledger, (cache, other) = caches
    sale = await ledger.create_sale("row_lock", [Item("a", 5, 100)], 0)
    without_room()
    await cache.read(sale.sale_id, "a")
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", 0)
        newer = json.dumps({"sku": "a", "price": 100, "remaining": 3, "version": 2})
        await other._put(item_key(sale.sale_id, "a"), 2, newer, 1, 30_000, 30_000)

        reading = await cache.read(sale.sale_id, "a")
        assert reading.product is not None
        assert reading.product.version == 2
        client.delete(item_key(sale.sale_id, "a"))

    assert (await cache.read(sale.sale_id, "a")).result is CacheResult.MISS, "the older copy is gone"


@pytest.mark.parametrize("jitter", [0.0, 0.15])
async def test_jitter_keeps_what_was_cached_together_from_expiring_together(
    new_worker: NewWorker, redis_url: str, jitter: float
) -> None:
    worker = await new_worker(cache_ttl_s=30, cache_jitter=jitter)
    sale = await worker.open(skus=8)
    for number in range(1, 9):
        await state(worker, sale, f"sku-{number}")

    with redis.Redis.from_url(redis_url) as client:
        items = [client.hgetall(item_key(UUID(sale), f"sku-{number}")) for number in range(1, 9)]
    fresh_ms = {int(item[b"fresh_until_ms"]) - int(item[b"computed_ms"]) for item in items}

    assert (fresh_ms == {30_000}) == (jitter == 0)


@pytest.fixture
async def caches(postgres_url: str, redis_url: str) -> AsyncIterator[Caches]:
    """Two workers' caches over one ledger that counts its reads."""
    given = {"database_url": postgres_url, "redis_url": redis_url, "admin_token": "unused-here", "database_pool": 4}
    settings = Settings.model_validate({**given, "cache_ttl_s": 30})
    database = await PostgresPool.connect(settings)
    connections = [BreakerRedis.connect(redis_url, command_timeout_s=1.0, connect_timeout_s=1.0) for _ in range(2)]
    ledger = PostgresLedger(database, settings)
    yield ledger, [ProductCache(each, ledger, settings, random.Random(1)) for each in connections]
    for each in connections:
        await each.close()
    await database.close()


async def test_a_tombstone_keeps_an_older_value_out(caches: Caches, redis_url: str) -> None:
    _, (slow, other) = caches
    sale = uuid4()
    await other.invalidate(sale, "a", version=7)

    with redis.Redis.from_url(redis_url) as client:
        key = item_key(sale, "a")
        await slow._put(key, 6, '{"old": true}', 1, 1000, 1000)
        assert client.hget(key, "body") == b""
        await slow._put(key, 7, '{"new": true}', 1, 1000, 1000)
        assert client.hget(key, "body") == b'{"new": true}'
        await other.invalidate(sale, "a", version=7)
        assert client.hget(key, "body") == b'{"new": true}'
        assert 0 < client.pttl(key) <= 2000


async def test_many_readers_of_one_missing_product_make_one_database_read(caches: Caches) -> None:
    ledger, (cache, _) = caches
    sale = await ledger.create_sale("row_lock", [Item("a", 5, 100)], 0)

    readings = await asyncio.gather(*(cache.read(sale.sale_id, "a") for _ in range(50)))

    assert cache.recomputes == 1
    assert cache.most_concurrent_recomputes == 1
    assert {reading.product.remaining for reading in readings if reading.product} == {5}
    assert {reading.result for reading in readings} == {CacheResult.MISS}


async def test_without_single_flight_every_reader_reads_the_database(new_worker: NewWorker) -> None:
    worker = await new_worker(redis_url=None, cache_single_flight=False, cache_own_copies=0)
    sale = await worker.open()
    name = "target_app_cache_recomputes_total"
    before = counted((await worker.http.get("/metrics")).text, name)

    await asyncio.gather(*(state(worker, sale) for _ in range(20)))

    async def all_counted() -> bool:
        return counted((await worker.http.get("/metrics")).text, name) - before == 20

    await eventually(all_counted)
