"""If these fail, a buyer is charged twice, told "sold out" for what was sold to them, or gets round the limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import uuid4

import asyncpg
import pytest
import redis

from tests.integration.target_app.client import Client, NewWorker

STRATEGIES = ["row_lock", "redis_lock", "redis_lua"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_twins_of_one_key_in_two_workers_on_the_last_unit_are_one_sale(
    new_worker: NewWorker, strategy: str
) -> None:
    one, two = await new_worker(), await new_worker()
    sales = [await one.open(strategy, stock=1) for _ in range(25)]

    for sale in sales:
        answers = await asyncio.gather(*(worker.buy(sale, key="twin") for worker in (one, two, one, two)))

        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        assert len({answer.text for answer in answers}) == 1
        assert len(await one.rows(sale, "ledger")) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_rival_and_twins_on_the_last_unit_never_disagree(new_worker: NewWorker, strategy: str) -> None:
    one, two = await new_worker(), await new_worker()

    for _ in range(25):
        sale = await one.open(strategy, stock=1)
        first, twin, rival = await asyncio.gather(
            one.buy(sale, key="twin"), two.buy(sale, key="twin"), two.buy(sale, key="rival", user="u2")
        )

        (order,) = await one.rows(sale, "ledger")
        twins_sold = order["key"] == "twin"
        assert [first.is_success, twin.is_success, rival.is_success] == [twins_sold, twins_sold, not twins_sold]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("trouble", ["none", "without Redis", "FLUSHALL"])
async def test_a_key_whose_answer_was_lost_is_replayed(
    new_worker: NewWorker, redis_url: str, strategy: str, trouble: str
) -> None:
    worker = await new_worker()
    sale = await worker.open(strategy, stock=1)
    lost = await worker.buy(sale, key="lost")
    assert lost.status_code == 201
    asked = worker
    if trouble == "without Redis":
        asked = await new_worker(redis_url=None)
    elif trouble == "FLUSHALL":
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()

    again = await asked.buy(sale, key="lost")

    assert (again.status_code, again.json()) == (200, lost.json())
    assert (await asked.buy(sale, user="u2")).status_code == 409


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_limit_holds_across_skus_bought_in_parallel(new_worker: NewWorker, strategy: str) -> None:
    workers = [await new_worker(), await new_worker()]
    sale = await workers[0].open(strategy, stock=100, skus=4, per_user_limit=3)

    answers = await asyncio.gather(
        *(workers[number % 2].buy(sale, sku=f"sku-{1 + number % 4}", user=f"u{number % 10}") for number in range(120))
    )

    bought = Counter(row["user_id"] for row in await workers[0].rows(sale, "ledger"))
    assert bought == {f"u{number}": 3 for number in range(10)}
    assert Counter(answer.status_code for answer in answers) == {201: 30, 409: 90}


async def test_the_second_of_a_key_in_flight_is_told_so_when_its_patience_ends(
    new_worker: NewWorker, postgres_url: str
) -> None:
    worker = await new_worker(in_flight_wait_s=0.2, lock_timeout_s=1.0)
    sale = await worker.open()
    blocker = await asyncpg.connect(postgres_url)
    async with blocker.transaction():
        await blocker.execute("SELECT 1 FROM target_app.stock FOR UPDATE")
        first = asyncio.create_task(worker.buy(sale, key="slow"))
        async with asyncio.timeout(5):
            while "target_app_in_flight 1.0" not in (await worker.http.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        second = await worker.buy(sale, key="slow")

        assert second.status_code == 409
        assert second.json()["type"].endswith("in-progress")
        assert "effect" not in second.json()
        assert int(second.headers["retry-after"]) >= 1
    await blocker.close()
    assert (await first).status_code == 201


async def test_a_row_lock_that_is_never_given_is_503_without_effect(new_worker: NewWorker, postgres_url: str) -> None:
    worker = await new_worker(lock_timeout_s=0.1)
    sale = await worker.open()
    blocker = await asyncpg.connect(postgres_url)
    async with blocker.transaction():
        await blocker.execute("SELECT 1 FROM target_app.stock FOR UPDATE")

        answer = await worker.buy(sale)

    await blocker.close()
    assert answer.status_code == 503
    assert answer.json()["effect"] == "none"
    assert int(answer.headers["retry-after"]) >= 1
    assert await worker.rows(sale, "ledger") == []


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_many_buyers_of_random_quantities_sell_exactly_what_there_is(
    new_worker: NewWorker, strategy: str
) -> None:
    workers: list[Client] = [await new_worker(), await new_worker()]
    sale = await workers[0].open(strategy, stock=60)

    answers = await asyncio.gather(
        *(workers[number % 2].buy(sale, quantity=1 + number % 3, user=uuid4().hex) for number in range(150))
    )

    ledger = sorted(await workers[0].rows(sale, "ledger"), key=lambda row: row["seq"])
    assert sum(row["quantity"] for row in ledger) == 60
    assert [row["seq"] for row in ledger] == list(range(1, len(ledger) + 1))
    left = 60
    for row in ledger:
        left -= row["quantity"]
        assert row["remaining"] == left
    assert {answer.status_code for answer in answers} == {201, 409}
