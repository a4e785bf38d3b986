"""If these fail, telemetry says of a store what is not so, or stops looking at all when one of them is away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg
import pytest
import redis

from benchmarks.telemetry.postgres import Postgres
from benchmarks.telemetry.redis import Redis
from benchmarks.telemetry.source import Source
from benchmarks.telemetry.standing_query import StandingQuery
from tests.integration.target_app.proxy import proxied

LIMIT_S = 10.0
LOCK = "lock:{sale_id}:{sku}"


def values(source: Source) -> dict[tuple[str, str], float]:
    """What a source says now, by subject and metric."""
    return {(each.subject, each.metric): each.value for each in source.read()}


def once(source: Source, holds: Callable[[dict[tuple[str, str], float]], bool]) -> dict[tuple[str, str], float]:
    """What a source says as soon as this holds."""
    deadline_s = time.monotonic() + LIMIT_S
    while not holds(seen := values(source)):
        assert time.monotonic() < deadline_s, seen
        time.sleep(0.02)
    return seen


def is_up(seen: dict[tuple[str, str], float]) -> bool:
    return seen["", "up"] == 1


def is_missed_in_time(source: Source) -> None:
    """Again and again the source says that its server is away, and never waits for it."""
    for _ in range(5):
        began_s = time.monotonic()
        assert not is_up(values(source))
        assert time.monotonic() - began_s < 0.5


@pytest.fixture
def sale(postgres_url: str) -> str:
    """A sale with stock, as telemetry looks for it."""
    sale_id = str(uuid4())
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE stock (sale_id uuid, sku text, remaining bigint)")
        connection.execute("INSERT INTO stock VALUES (%s, 'sku-1', 7), (%s, 'sku-2', 0)", (sale_id, sale_id))
    return sale_id


@contextmanager
def postgres(url: str, sale_id: str) -> Iterator[Postgres]:
    with closing(Postgres(url, sale_id)) as source:
        once(source, is_up)
        yield source


def test_postgres_tells_what_is_left_and_how_old_the_apps_oldest_transaction_is(postgres_url: str, sale: str) -> None:
    with postgres(postgres_url, sale) as source:
        seen = values(source)
        assert (seen["sku-1", "remaining"], seen["sku-2", "remaining"]) == (7, 0)
        assert seen["", "oldest_transaction_s"] == 0
        assert seen["", "statements"] > 0

        with (
            psycopg.connect(postgres_url, application_name="target_app") as app,
            psycopg.connect(postgres_url, application_name="somebody") as other,
        ):
            other.execute("SELECT 1")
            assert values(source)["", "oldest_transaction_s"] == 0
            app.execute("SELECT 1")
            seen = once(source, lambda seen: seen["", "oldest_transaction_s"] > 0.1)
            assert seen["", "oldest_transaction_s"] < LIMIT_S
        once(source, lambda seen: seen["", "oldest_transaction_s"] == 0)


def test_a_session_that_was_ended_is_made_anew(postgres_url: str, sale: str) -> None:
    with postgres(postgres_url, sale) as source:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'flashbench' AND datname = current_database()"
            )
        assert not is_up(once(source, lambda seen: not is_up(seen)))
        assert once(source, is_up)["sku-1", "remaining"] == 7


async def test_a_postgres_that_hangs_or_is_gone_holds_nobody_up_and_is_found_again(
    postgres_url: str, sale: str
) -> None:
    async with proxied(postgres_url) as (proxy, url):
        source = Postgres(url, sale)
        try:
            await asyncio.to_thread(once, source, is_up)
            proxy.swallow()
            await asyncio.to_thread(is_missed_in_time, source)
            proxy.flow()
            await asyncio.to_thread(once, source, is_up)
            await proxy.cut()
            await asyncio.to_thread(is_missed_in_time, source)
            await proxy.listen()
            assert (await asyncio.to_thread(once, source, is_up))["sku-2", "remaining"] == 0
        finally:
            source.close()


def test_a_server_that_takes_a_connection_and_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody:x@127.0.0.1:{silent.getsockname()[1]}/nothing"
        with closing(StandingQuery(url, "SELECT 1", [], application_name="test")) as query:
            for _ in range(3):
                began_s = time.monotonic()
                assert query.ask(0.05) is None
                assert time.monotonic() - began_s < 0.5


def test_a_statement_that_fails_spoils_no_other(postgres_url: str) -> None:
    with closing(StandingQuery(postgres_url, "SELECT count(*) FROM late", [], application_name="test")) as query:
        assert query.ask(LIMIT_S) is None
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE late ()")
        assert query.ask(LIMIT_S) == [b"0"]
        assert query.ask(LIMIT_S) == [b"0"]


def test_redis_tells_for_how_long_the_same_owner_has_had_a_lock(redis_url: str) -> None:
    first, second = (LOCK.format(sale_id="s", sku=sku) for sku in ("a", "b"))
    with closing(Redis(redis_url, "s", ["a", "b"], None, [LOCK])) as source, redis.Redis.from_url(redis_url) as client:
        assert values(source)["", "locks_held"] == 0

        client.set(first, "one", px=30_000)
        client.set(second, "other")
        seen = values(source)
        assert seen["", "locks_held"] == 2
        assert seen[first, "lock_held_s"] == 0
        assert 20 < seen[first, "lock_left_s"] <= 30
        assert seen[second, "lock_left_s"] == -1, "it has no lease at all"

        once(source, lambda seen: seen[first, "lock_held_s"] > 0.1)
        client.set(first, "two", px=30_000)
        seen = values(source)
        assert seen[first, "lock_held_s"] == 0, "another owner is another holding"
        assert seen[second, "lock_held_s"] > 0.1

        client.delete(first)
        client.delete(second)
        client.hset(second, "no", "lock")
        seen = values(source)
        assert seen["", "locks_held"] == 0
        assert (first, "lock_held_s") not in seen


def test_without_declared_locks_nothing_is_said_of_them(redis_url: str) -> None:
    with closing(Redis(redis_url, "s", ["a"], None)) as source:
        assert ("", "locks_held") not in values(source)
