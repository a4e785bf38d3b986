"""A purchase fails or is paused between two of its steps. If these fail, a unit or an order is lost by it, a lock
outlives its lease, or somebody who was away for too long acts as if he had not been."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import redis.asyncio as redis_asyncio

from target_app.failpoints import FailpointError
from target_app.strategies.protocol import Limits, Result, Sale, Sold, SoldOut, Unavailable
from tests.arming import arm, taken
from tests.integration.strategies.workers import Worker, working
from tests.waiting import eventually

SHORT = Limits(wait_s=0.1, lock_lease_s=1.0, hold_lease_s=0.5, commit_s=0.7)
BRIEF = {"lock_timeout_s": 0.2, "statement_timeout_s": 0.3, "transaction_timeout_s": 0.4}
STEPS = [
    (kind, point)
    for kind in ("row_lock", "redis_lock", "redis_lua")
    for point in ("after_hold", "before_commit", "after_commit", "before_release")
    if (kind, point) != ("row_lock", "before_release")
]


async def check_redis(worker: Worker, sale: Sale, client: redis_asyncio.Redis) -> None:
    """No hold and no lock is left, and the counter says what Postgres does."""

    async def free() -> bool:
        if await client.exists(f"redis_lock:{sale.sale_id}:lock:a"):
            return False
        counter = (await worker.strategy.stock(sale)).get("a")
        return counter is None or (counter.held, counter.remaining) == (0, await worker.remaining(sale))

    await eventually(free)


async def check_idle(worker: Worker) -> None:
    """No transaction of the worker's is open."""
    async with worker.database.reading() as connection:
        open_ones = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%'"
        )
    assert open_ones == 0


async def came_to(folder: Path, point: str) -> None:
    async def hit() -> bool:
        return bool(taken(folder, point))

    await eventually(hit)


@pytest.mark.parametrize(("kind", "point"), STEPS)
async def test_a_purchase_that_fails_between_two_steps_loses_no_unit(
    kind: str, point: str, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        working(kind, postgres_url, redis_url, SHORT, failpoints=tmp_path) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        arm(tmp_path, point, "fail")
        committed = point in ("after_commit", "before_release")
        if point == "before_release":
            assert isinstance(await worker.buy(sale, user="u", key="failed"), Sold), (
                "what comes after the commit is no error"
            )
        else:
            with pytest.raises(FailpointError):
                await worker.buy(sale, user="u", key="failed")
        await check_idle(worker)
        assert await worker.remaining(sale) == 5 - committed

        again = await worker.buy(sale, user="u", key="failed")

        assert isinstance(again, Sold)
        assert again.replayed is committed
        results: list[Result] = []
        while SoldOut() not in results:
            results += await asyncio.gather(*(worker.buy(sale) for _ in range(4)))
        assert sum(isinstance(result, Sold) for result in results) == 4
        assert await worker.remaining(sale) == 0
        await check_redis(worker, sale, client)


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("row_lock", "after_hold"),
        ("row_lock", "before_commit"),
        ("redis_lock", "before_commit"),
        ("redis_lua", "before_commit"),
    ],
)
async def test_a_pause_within_the_transaction_ends_with_its_limit(
    kind: str, point: str, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Whoever has the row may not keep it for as long as it sleeps, and is then told that nothing happened."""
    async with (
        working(kind, postgres_url, redis_url, SHORT, failpoints=tmp_path, **BRIEF) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        arm(tmp_path, point, "pause", pause_s=30)
        started_s = time.monotonic()

        result = await worker.buy(sale)

        assert time.monotonic() - started_s < 1.5
        assert isinstance(result, Unavailable)
        assert result.no_effect
        await check_idle(worker)
        assert await worker.remaining(sale) == 5
        assert isinstance(await worker.buy(sale), Sold)
        await check_redis(worker, sale, client)


@pytest.mark.parametrize(("kind", "point"), STEPS)
async def test_a_pause_within_the_limits_changes_nothing(
    kind: str, point: str, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        working(kind, postgres_url, redis_url, SHORT, failpoints=tmp_path) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        arm(tmp_path, point, "pause", pause_s=0.1)

        assert isinstance(await worker.buy(sale), Sold)

        assert len(taken(tmp_path, point)) == 1
        await check_redis(worker, sale, client)


@pytest.mark.parametrize("kind", ["row_lock", "redis_lock", "redis_lua"])
async def test_who_is_paused_after_the_commit_has_sold_and_holds_nobody_up(
    kind: str, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Longer than any lease: the hold is reaped, the lock has gone to others, and neither is taken from them."""
    async with (
        working(kind, postgres_url, redis_url, SHORT, failpoints=tmp_path) as worker,
        working(kind, postgres_url, redis_url, SHORT) as other,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        arm(tmp_path, "after_commit", "pause", pause_s=1.5)
        paused = asyncio.create_task(worker.buy(sale))
        await came_to(tmp_path, "after_commit")

        await check_idle(worker)
        assert await worker.remaining(sale) == 4
        assert isinstance(await other.buy(sale), Sold)

        assert isinstance(await paused, Sold)
        results = await asyncio.gather(*(each.buy(sale) for each in (worker, other) for _ in range(4)))
        assert sum(isinstance(result, Sold) for result in results) == 3
        assert await worker.remaining(sale) == 0
        await check_redis(worker, sale, client)


async def test_a_lock_holder_that_was_away_past_its_lease_does_not_act_on_it(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Somebody else has the lock meanwhile. The one that comes back takes the guarded path, without the fence."""
    async with (
        working("redis_lock", postgres_url, redis_url, SHORT, failpoints=tmp_path) as away,
        working("redis_lock", postgres_url, redis_url, SHORT) as other,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await away.open(stock=5)
        arm(tmp_path, "after_hold", "pause", pause_s=1.2)
        paused = asyncio.create_task(away.buy(sale, key="paused"))
        await came_to(tmp_path, "after_hold")
        assert isinstance(await other.buy(sale, key="round it"), Sold)

        async def lease_over() -> bool:
            return not await client.exists(f"redis_lock:{sale.sale_id}:lock:a")

        await eventually(lease_over)
        assert isinstance(await other.buy(sale, key="by lock"), Sold)

        assert isinstance(await paused, Sold)
        fences = {key: fence for key, *_, fence in await other.orders(sale)}
        assert fences == {"round it": None, "by lock": 2, "paused": None}


async def test_who_is_paused_before_the_release_does_not_release_the_lock_of_another(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with (
        working("redis_lock", postgres_url, redis_url, SHORT, failpoints=tmp_path) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        lock = f"redis_lock:{sale.sale_id}:lock:a"
        arm(tmp_path, "before_release", "pause", pause_s=1.3)
        paused = asyncio.create_task(worker.buy(sale))
        await came_to(tmp_path, "before_release")

        async def taken_over() -> bool:
            return bool(await client.set(lock, "somebody", nx=True, px=20_000))

        await eventually(taken_over)
        assert not paused.done(), "it was the end of the lease that freed the lock"

        assert isinstance(await paused, Sold)
        assert await client.get(lock) == b"somebody"


@pytest.mark.parametrize("kind", ["redis_lock", "redis_lua"])
async def test_who_was_away_for_longer_than_a_purchase_may_take_begins_no_transaction(
    kind: str, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    limits = Limits(lock_lease_s=20.0, hold_lease_s=20.0)
    async with (
        working(kind, postgres_url, redis_url, limits, failpoints=tmp_path, purchase_limit_s=0.3) as worker,
        redis_asyncio.Redis.from_url(redis_url) as client,
    ):
        sale = await worker.open(stock=5)
        arm(tmp_path, "after_hold", "pause", pause_s=0.4)

        result = await worker.buy(sale)

        assert isinstance(result, Unavailable)
        assert result.no_effect
        await check_redis(worker, sale, client)
        assert await worker.remaining(sale) == 5
