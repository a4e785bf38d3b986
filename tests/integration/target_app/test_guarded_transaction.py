"""If these fail, a purchase that was cut short leaves something behind, or its buyer is told what is not so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from target_app.strategies.protocol import (
    Fenced,
    KeyReusedError,
    Limited,
    Purchase,
    Result,
    Sold,
    SoldOut,
    Unavailable,
)
from tests.integration.strategies.awaits import CancelledAt
from tests.integration.target_app.till import Till, till
from tests.waiting import eventually

MOST_AWAITS = 40

DAWDLE = """
    CREATE FUNCTION target_app.dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"""
AT_INSERT = """
    CREATE TRIGGER slow BEFORE INSERT ON target_app.orders FOR EACH ROW EXECUTE FUNCTION target_app.dawdle()"""
AT_COMMIT = """
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON target_app.orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION target_app.dawdle()"""
ASLEEP = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'target_app' AND wait_event = 'PgSleep'"""


async def cancel_everywhere(work: Callable[[str], Coroutine[Any, Any, Result]]) -> list[tuple[str, Result | None]]:
    """Do the work, with a new key, once for every await that it has, and cancel it there; what came of each."""
    ends: list[tuple[str, Result | None]] = []
    for suspension in range(1, MOST_AWAITS):
        key = f"key{suspension}"
        attempt = CancelledAt(work(key), suspension)
        task = asyncio.create_task(attempt.run())
        await asyncio.wait([task])
        ends.append((key, None if task.cancelled() else task.result()))
        if not attempt.came_to_it:
            return ends
    raise AssertionError("a purchase has more awaits than expected")


@pytest.mark.parametrize("per_user_limit", [0, 1000])
async def test_cancelled_at_every_await_of_a_sale(postgres_url: str, per_user_limit: int) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open(stock=1000, per_user_limit=per_user_limit)

        ends = await cancel_everywhere(lambda key: shop.buy(sale, key))

        assert len(ends) > 5
        await shop.check_nothing_leaked()
        for key, end in ends:
            again = await shop.buy(sale, key)
            assert isinstance(again, Sold), (key, again)
            if isinstance(end, Sold):
                assert (again.order_id, again.replayed) == (end.order_id, True)
        assert sorted(await shop.keys(sale)) == sorted(key for key, _ in ends)
        assert await shop.remaining(sale) == 1000 - len(ends)
        if per_user_limit:
            bought = await shop.aside.fetchval("SELECT bought FROM target_app.buyers WHERE user_id = 'u'")
            assert bought == len(ends)


async def test_cancelled_at_every_await_of_a_refusal_or_replay(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open(stock=5, per_user_limit=10)
        first = await shop.buy(sale, "first", 2)
        assert isinstance(first, Sold)

        sold_out = await cancel_everywhere(lambda key: shop.buy(sale, key, 9, user="v"))
        limited = await cancel_everywhere(lambda key: shop.buy(sale, key, 9))
        replayed = await cancel_everywhere(lambda _: shop.buy(sale, "first", 2))

        await shop.check_nothing_leaked()
        assert sold_out[-1][1] == SoldOut()
        assert limited[-1][1] == Limited()
        assert replayed[-1][1] == Sold(first.order_id, 3, 1, replayed=True)
        assert await shop.keys(sale) == ["first"]
        assert await shop.remaining(sale) == 3


async def test_cancelled_at_every_await_of_standing_in_line(postgres_url: str) -> None:
    """The row is locked by somebody else, and there are fewer connections than buyers."""
    async with till(postgres_url, lock_timeout_s=0.05, database_wait_s=0.2) as shop:
        sale = await shop.open()
        async with shop.aside.transaction():
            await shop.aside.execute("SELECT 1 FROM target_app.stock FOR UPDATE")
            ends = await cancel_everywhere(lambda key: shop.buy(sale, key))
        assert isinstance(ends[-1][1], Unavailable)
        assert all(end is None or (isinstance(end, Unavailable) and end.no_effect) for _, end in ends)
        await shop.check_nothing_leaked()
        assert await shop.keys(sale) == []
        assert isinstance(await shop.buy(sale, "after"), Sold)


async def sleeping(shop: Till) -> int:
    """The server process that has come to the trigger."""
    found: list[int] = []

    async def found_one() -> bool:
        found[:] = [row["pid"] for row in await shop.aside.fetch(ASLEEP)]
        return bool(found)

    await eventually(found_one)
    return found[0]


@pytest.mark.parametrize(
    ("where", "trouble", "provable"),
    [
        (AT_INSERT, "connection lost", True),
        (AT_INSERT, "transaction limit", True),
        (AT_INSERT, "statement limit", True),
        (AT_COMMIT, "connection lost", False),
        (AT_COMMIT, "transaction limit", False),
    ],
    ids=["insert, lost", "insert, transaction", "insert, statement", "commit, lost", "commit, transaction"],
)
async def test_a_failure_is_unknown_from_commit_on_and_without_effect_before(
    postgres_url: str, where: str, trouble: str, provable: bool
) -> None:
    limits = {
        "connection lost": {},
        "transaction limit": {"transaction_timeout_s": 0.4, "statement_timeout_s": 0.4, "lock_timeout_s": 0.1},
        "statement limit": {"statement_timeout_s": 0.3, "lock_timeout_s": 0.1},
    }[trouble]
    async with till(postgres_url, **limits) as shop:
        await shop.aside.execute(DAWDLE)
        await shop.aside.execute(where)
        sale = await shop.open()
        buying = asyncio.create_task(shop.buy(sale, "k"))
        if trouble == "connection lost":
            await shop.aside.execute("SELECT pg_terminate_backend($1)", await sleeping(shop))

        result = await asyncio.wait_for(buying, 5)

        assert isinstance(result, Unavailable)
        assert result.no_effect is provable
        await shop.aside.execute("DROP TRIGGER slow ON target_app.orders")
        await shop.check_nothing_leaked()
        assert isinstance(await shop.buy(sale, "k"), Sold)
        assert await shop.keys(sale) == ["k"]


async def test_a_commit_that_is_cancelled_leaves_the_key_to_tell(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        await shop.aside.execute(DAWDLE)
        await shop.aside.execute(AT_COMMIT)
        sale = await shop.open()
        buying = asyncio.create_task(shop.buy(sale, "k"))
        await sleeping(shop)

        buying.cancel()
        await asyncio.wait([buying], timeout=5)

        assert buying.cancelled()
        await shop.check_nothing_leaked()
        assert await shop.keys(sale) == [], "Postgres was told to cancel too"


async def test_one_key_for_two_skus_at_once_is_one_sale(postgres_url: str) -> None:
    async with till(postgres_url, database_pool=4) as shop:
        for _ in range(20):
            sale = await shop.open(skus=2)
            ends = await asyncio.gather(*(shop.buy(sale, "k", sku=sku) for sku in ("a", "b")), return_exceptions=True)
            assert sorted(type(end).__name__ for end in ends) == ["KeyReusedError", "Sold"]
            assert len(await shop.keys(sale)) == 1
            assert await shop.remaining(sale, "a") + await shop.remaining(sale, "b") == 19
        await shop.check_nothing_leaked()


async def test_another_broken_uniqueness_is_not_taken_for_a_key(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open()
        await shop.buy(sale, "k")
        await shop.aside.execute("UPDATE target_app.stock SET seq = 0")

        with pytest.raises(asyncpg.UniqueViolationError, match="one_order_per_seq"):
            await shop.buy(sale, "other")

        await shop.check_nothing_leaked()


async def test_a_refusal_for_want_of_stock_does_not_count_towards_the_limit(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open(stock=2, per_user_limit=3)

        assert await shop.buy(sale, "k1", 3) == SoldOut()

        assert isinstance(await shop.buy(sale, "k1", 2), Sold)
        assert await shop.aside.fetchval("SELECT bought FROM target_app.buyers") == 2


async def test_the_steps_are_key_limit_fence_stock(postgres_url: str) -> None:
    """With several reasons to refuse, the answer shows which was looked at first."""
    async with till(postgres_url) as shop:
        sale = await shop.open(stock=3, per_user_limit=2)

        async def fenced(key: str, quantity: int, user: str, fence: int) -> Result | Fenced:
            return await shop.ledger.commit_fenced(Purchase(sale, "a", quantity, user, key), fence)

        sold = await fenced("k", 2, "u", 5)
        assert isinstance(sold, Sold)

        assert await fenced("k", 2, "u", 5) == Sold(sold.order_id, 1, 1, replayed=True), "the key before the limit"
        assert await fenced("l", 2, "u", 5) == Limited(), "the limit before the fence"
        assert await fenced("m", 2, "v", 5) == Fenced(5), "the fence before the stock"
        assert await fenced("m", 2, "v", 6) == SoldOut()
        assert isinstance(await shop.buy(sale, "n", 1, user="v"), Sold)
        (row,) = await shop.ledger.stock_rows(sale)
        assert (row.remaining, row.fence) == (0, 5), "without a fence the stored one is left alone"
        with pytest.raises(KeyReusedError):
            await fenced("k", 1, "u", 7)


async def test_a_server_that_is_serializable_by_default_changes_nothing(postgres_url: str) -> None:
    async with till(postgres_url, database_pool=4) as shop:
        name = await shop.aside.fetchval("SELECT current_database()")
        await shop.aside.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        async with till(postgres_url, database_pool=4) as strict:
            sale = await strict.open(stock=10)
            results = await asyncio.gather(*(strict.buy(sale, f"k{number}") for number in range(30)))
            assert sum(isinstance(result, Sold) for result in results) == 10
            assert sum(result == SoldOut() for result in results) == 20


async def test_look_ups_of_one_loop_turn_share_a_connection(postgres_url: str) -> None:
    async with till(postgres_url, database_pool=1, database_queue=1) as shop:
        sale = await shop.open(stock=100)
        sold = await shop.buy(sale, "k7")
        assert isinstance(sold, Sold)

        # With a connection each, all but two would be shed.
        found = await asyncio.gather(*(shop.ledger.find(sale, f"k{number}") for number in range(50)))

        assert [number for number, one in enumerate(found) if one is not None] == [7]
        assert found[7] is not None
        assert found[7][1] == Sold(sold.order_id, 99, 1, replayed=True)


async def test_a_look_up_that_is_cancelled_does_not_disturb_those_it_is_batched_with(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open()
        assert isinstance(await shop.buy(sale, "k"), Sold)
        gone, stays = (asyncio.create_task(shop.ledger.find(sale, "k")) for _ in range(2))
        await asyncio.sleep(0)

        gone.cancel()

        assert await stays is not None
        assert gone.cancelled()


async def test_a_look_up_that_fails_by_a_bug_says_so_to_whoever_asked(postgres_url: str) -> None:
    async with till(postgres_url) as shop:
        sale = await shop.open()
        await shop.aside.execute("ALTER TABLE target_app.orders RENAME COLUMN guarded TO other")

        ends = await asyncio.gather(*(shop.ledger.find(sale, f"k{n}") for n in range(3)), return_exceptions=True)

        assert {type(end) for end in ends} == {asyncpg.UndefinedColumnError}
