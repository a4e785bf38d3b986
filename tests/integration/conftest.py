"""Real servers for the tests that need them: one Postgres and one Redis a session, a database or a flush a test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import redis

from flashbench.services import Stack, StackRequest


@pytest.fixture(scope="session")
def stores() -> Iterator[Stack]:
    """Postgres and Redis, without the app."""
    with Stack.start(StackRequest(with_app=False), progress=lambda _: None) as stack:
        yield stack


@pytest.fixture
def postgres_url(stores: Stack) -> Iterator[str]:
    """A database of the test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(stores.info.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield stores.info.database_url.rpartition("/")[0] + "/" + name
    with psycopg.connect(stores.info.database_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def redis_url(stores: Stack) -> str:
    """A Redis that is empty when the test begins."""
    with redis.Redis.from_url(stores.info.redis_url) as client:
        client.flushall()
    return stores.info.redis_url
