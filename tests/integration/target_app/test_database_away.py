"""If these fail, a database that is away or hangs takes the app with it, or a buyer is told what nobody can know."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import httpx
import pytest

from target_app.cache.products import ASK_AGAIN_S
from tests.integration.target_app.client import ADMIN, Client, NewWorker, database_reads
from tests.integration.target_app.proxy import proxied
from tests.integration.target_app.till import SESSIONS, session
from tests.waiting import eventually

pytestmark = pytest.mark.alone

STRATEGIES = ["row_lock", "redis_lock", "redis_lua"]
SHORT = {"lock_timeout_s": 0.2, "statement_timeout_s": 0.3, "transaction_timeout_s": 0.4, "database_wait_s": 0.3}


def without_effect(answer: httpx.Response) -> bool:
    """503 problem details that prove that nothing happened."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    return bool(answer.json().get("effect") == "none")


async def waiting_for_a_lock(aside: asyncpg.Connection[asyncpg.Record], sessions: int) -> bool:
    """Whether so many sessions do."""
    return bool(
        sessions
        == await aside.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


async def recovered(worker: Client) -> None:
    """Ready again by itself."""

    async def ready() -> bool:
        return (await worker.http.get("/readyz")).status_code == 200

    await eventually(ready)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_database_that_is_gone_costs_answers_but_no_truth(
    new_worker: NewWorker, postgres_url: str, strategy: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        worker = await new_worker(database_url=url, **SHORT)
        sale = await worker.open(strategy, stock=3)
        sold = await worker.buy(sale, key="before")
        assert sold.status_code == 201
        await proxy.cut()

        answers = await asyncio.gather(*(worker.buy(sale, key=f"k{number}") for number in range(12)))

        assert all(without_effect(answer) for answer in answers)
        assert without_effect(await worker.buy(sale, key="before"))
        assert (await worker.http.get("/readyz")).status_code == 503
        assert (await worker.http.get(f"/sales/{sale}/stock", headers=ADMIN)).status_code == 503
        assert (await worker.http.get("/healthz")).status_code == 200

        await proxy.listen()
        await recovered(worker)
        assert (await worker.buy(sale, key="before")).json() == sold.json()
        assert [(await worker.buy(sale, key=key, user=key)).status_code for key in ("k1", "k2", "k3")] == [
            201,
            201,
            409,
        ]
        assert [row["key"] for row in await worker.rows(sale, "ledger")] == ["before", "k1", "k2"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_database_that_hangs_costs_no_more_than_the_limits(
    new_worker: NewWorker, postgres_url: str, strategy: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        worker = await new_worker(database_url=url, database_pool=3, **SHORT)
        sale = await worker.open(strategy, stock=30)
        assert (await worker.buy(sale)).status_code == 201
        proxy.swallow()
        start_s = time.monotonic()

        answers = await asyncio.gather(
            *(worker.buy(sale, key=f"k{number}") for number in range(10)),
            worker.http.get("/readyz"),
            worker.http.get(f"/sales/{sale}/products/sku-9"),
        )

        assert time.monotonic() - start_s < 4
        assert {answer.status_code for answer in answers} == {503}
        assert all(without_effect(answer) for answer in answers[:10])
        proxy.flow()
        await recovered(worker)
        assert len(await worker.rows(sale, "ledger")) == 1
        assert [(await worker.buy(sale, key=f"k{number}")).status_code for number in range(10)] == [201] * 10


async def test_a_commit_whose_answer_is_lost_is_unknown_and_its_key_replays(
    new_worker: NewWorker, postgres_url: str
) -> None:
    """The sharpest case: the order is committed, and the connection dies before the worker hears of it."""
    async with proxied(postgres_url) as (proxy, url), session(postgres_url) as aside:
        worker = await new_worker(database_url=url, database_pool=1)
        sale = await worker.open(stock=1)
        proxy.lose_answers_after(b"COMMIT\0")

        lost = await worker.buy(sale, key="k")

        assert not without_effect(lost)
        assert await aside.fetchval("SELECT count(*) FROM target_app.orders") == 1
        proxy.lose_answers_after(None)
        await recovered(worker)
        again = await worker.buy(sale, key="k")
        assert (again.status_code, again.json()["seq"]) == (200, 1)
        assert (await worker.buy(sale, key="other", user="u2")).status_code == 409


async def test_stale_products_stand_in_for_a_database_that_is_away(new_worker: NewWorker, postgres_url: str) -> None:
    async with proxied(postgres_url) as (proxy, url):
        worker = await new_worker(database_url=url, cache_ttl_s=0.05, cache_stale_s=30)
        sale = await worker.open(stock=3, skus=2)
        path = f"/sales/{sale}/products"
        fresh = (await worker.http.get(f"{path}/sku-1")).json()
        await proxy.cut()

        async def stale() -> bool:
            return (await worker.http.get(f"{path}/sku-1")).headers["x-cache"] == "stale"

        await eventually(stale)
        assert (await worker.http.get(f"{path}/sku-1")).json() == fresh
        assert (await worker.http.get(f"{path}/sku-2")).status_code == 503

        await proxy.listen()
        await recovered(worker)

        async def read_anew() -> bool:
            answer = await worker.http.get(f"{path}/sku-1")
            return (answer.status_code, answer.headers["x-cache"]) == (200, "miss")

        await eventually(read_anew)


async def test_a_database_that_hangs_is_asked_once_a_second_for_what_is_there_stale(
    new_worker: NewWorker, postgres_url: str
) -> None:
    worker = await new_worker(cache_ttl_s=0.05, cache_stale_s=30, **SHORT)
    sale = await worker.open(stock=3)
    path = f"/sales/{sale}/products/sku-1"
    await worker.http.get(path)
    async with session(postgres_url) as aside, aside.transaction():
        await aside.execute("LOCK TABLE target_app.stock IN ACCESS EXCLUSIVE MODE")

        async def stale() -> bool:
            return (await worker.http.get(path)).headers["x-cache"] == "stale"

        await eventually(stale)
        asked = await database_reads(worker)
        begun_s = time.monotonic()
        answers = [await worker.http.get(path) for _ in range(20)]
        took_s = time.monotonic() - begun_s
        assert {answer.headers["x-cache"] for answer in answers} == {"stale"}
        assert await database_reads(worker) - asked <= 1 + took_s / ASK_AGAIN_S


async def test_more_buyers_than_the_queue_takes_are_shed_at_once(new_worker: NewWorker, postgres_url: str) -> None:
    worker = await new_worker(database_pool=1, database_queue=2)
    sale = await worker.open(stock=10)
    async with session(postgres_url) as aside, aside.transaction():
        await aside.execute("SELECT 1 FROM target_app.stock FOR UPDATE")
        standing = [asyncio.create_task(worker.buy(sale, key=f"k{number}")) for number in range(3)]

        async def in_line() -> bool:
            return "target_app_in_flight 3.0" in (await worker.http.get("/metrics")).text

        await eventually(in_line)
        start_s = time.monotonic()
        assert without_effect(await worker.buy(sale, key="one-too-many"))
        assert time.monotonic() - start_s < 0.3
    assert [answer.status_code for answer in await asyncio.gather(*standing)] == [201] * 3


async def test_a_purchase_that_has_waited_for_too_long_is_shed_wherever_it_waits(
    new_worker: NewWorker, postgres_url: str
) -> None:
    """For a connection and for the row: each has a limit of its own, and together they have that of a purchase."""
    worker = await new_worker(database_pool=1, purchase_limit_s=0.5)
    sale = await worker.open(stock=10)
    async with session(postgres_url) as aside, aside.transaction():
        await aside.execute("SELECT 1 FROM target_app.stock FOR UPDATE")
        start_s = time.monotonic()
        answers = await asyncio.gather(*(worker.buy(sale, key=f"k{number}") for number in range(6)))
        assert time.monotonic() - start_s < 1.0
    assert all(without_effect(answer) for answer in answers)
    assert [(await worker.buy(sale, key=f"k{number}")).status_code for number in range(6)] == [201] * 6


@pytest.mark.parametrize("reads_aside", [1, 100], ids=["bulkhead", "none"])
async def test_purchases_that_wait_for_a_row_leave_connections_to_reads(
    new_worker: NewWorker, postgres_url: str, reads_aside: int
) -> None:
    worker = await new_worker(redis_url=None, database_pool=3, cache_bypass_reads=reads_aside)
    sale = await worker.open(stock=10)
    async with session(postgres_url) as aside, aside.transaction():
        await aside.execute("SELECT 1 FROM target_app.stock FOR UPDATE")
        buying = [asyncio.create_task(worker.buy(sale, key=f"k{number}")) for number in range(6)]

        await eventually(lambda: waiting_for_a_lock(aside, 2 if reads_aside == 1 else 3))
        reading = asyncio.create_task(worker.http.get(f"/sales/{sale}/products/sku-1"))
        await asyncio.wait([reading], timeout=0.4)
        assert reading.done() == (reads_aside == 1), "without the bulkhead the read stands in line behind them"
    assert (await reading).status_code == 200
    assert [answer.status_code for answer in await asyncio.gather(*buying)] == [201] * 6


async def test_product_reads_that_hang_leave_connections_to_purchases(new_worker: NewWorker, postgres_url: str) -> None:
    worker = await new_worker(redis_url=None, database_pool=3, cache_bypass_reads=1, cache_single_flight=False)
    sale, other = await worker.open(stock=10), await worker.open(stock=1)
    async with session(postgres_url) as aside, session(postgres_url) as watching, aside.transaction():
        await aside.execute("LOCK TABLE target_app.stock IN ACCESS EXCLUSIVE MODE")
        reading = [asyncio.create_task(worker.http.get(f"/sales/{other}/products/sku-1")) for _ in range(10)]

        await eventually(lambda: waiting_for_a_lock(watching, 1))
        buying = [asyncio.create_task(worker.buy(sale)) for _ in range(2)]
        await eventually(lambda: waiting_for_a_lock(watching, 3))
    assert {answer.status_code for answer in await asyncio.gather(*reading)} == {200}
    assert [answer.status_code for answer in await asyncio.gather(*buying)] == [201] * 2


@pytest.mark.parametrize("trouble", ["server restarted", "sessions terminated"])
async def test_dead_connections_cost_nobody_anything_once_the_database_is_back(
    new_worker: NewWorker, postgres_url: str, trouble: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        worker = await new_worker(database_url=url)
        sale = await worker.open(stock=100)
        await asyncio.gather(*(worker.buy(sale) for _ in range(20)))
        if trouble == "server restarted":
            await proxy.cut()
            assert without_effect(await worker.buy(sale))
            await proxy.listen()
        else:
            async with session(postgres_url) as aside:
                ended = await aside.fetch(
                    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'target_app'"
                )

                async def noticed() -> bool:
                    old = [row["pid"] for row in ended]
                    return int(await aside.fetchval(SESSIONS + " AND pid <> ALL ($2)", "%", old)) == len(ended)

                await eventually(noticed)
        start_s = time.monotonic()

        answers = await asyncio.gather(*(worker.buy(sale) for _ in range(30)))

        assert [answer.status_code for answer in answers] == [201] * 30
        assert time.monotonic() - start_s < 1.5


async def test_connections_that_died_unheard_cost_those_who_meet_them_a_limit_each_and_no_more(
    new_worker: NewWorker, postgres_url: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        worker = await new_worker(database_url=url, database_pool=4, **SHORT)
        sale = await worker.open(stock=100)
        await asyncio.gather(*(worker.buy(sale) for _ in range(12)))
        proxy.abandon()
        start_s = time.monotonic()

        met = await asyncio.gather(*(worker.buy(sale) for _ in range(4)))

        assert all(without_effect(answer) for answer in met)
        assert time.monotonic() - start_s < 2.0
        assert [(await worker.buy(sale)).status_code for _ in range(12)] == [201] * 12


async def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(
    new_worker: NewWorker, postgres_url: str
) -> None:
    """One that gave up would take all the others with it: uvicorn ends when a worker fails to start."""
    async with proxied(postgres_url) as (proxy, url):
        await proxy.cut()
        starting = asyncio.ensure_future(new_worker(database_url=url))
        await asyncio.wait([starting], timeout=0.3)
        assert not starting.done()

        await proxy.listen()

        assert (await (await starting).http.get("/readyz")).status_code == 200
        await proxy.cut()
        with pytest.raises(OSError):
            await new_worker(database_url=url, database_start_s=0.1)


async def test_sales_that_a_worker_does_not_know_cannot_be_bought_while_the_database_is_away(
    new_worker: NewWorker, postgres_url: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        other, worker = await new_worker(), await new_worker(database_url=url, **SHORT)
        sale = await other.open(stock=1)
        await proxy.cut()

        assert without_effect(await worker.buy(sale))
        assert (await other.buy(sale)).status_code == 201


async def test_workers_that_start_together_create_the_tables_once_and_leave_no_session(
    new_worker: NewWorker, postgres_url: str
) -> None:
    workers = await asyncio.gather(*(new_worker() for _ in range(4)))

    assert [(await worker.http.get("/readyz")).status_code for worker in workers] == [200] * 4
    sale = await workers[0].open(stock=4)
    assert [(await worker.buy(sale)).status_code for worker in workers] == [201] * 4

    await asyncio.gather(*(worker.stop() for worker in workers))

    async with session(postgres_url) as aside:

        async def none_left() -> bool:
            return not await aside.fetchval(SESSIONS, "%")

        await eventually(none_left)
