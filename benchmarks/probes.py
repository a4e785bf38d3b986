"""How faults look at servers: over connections of their own, each step with a time limit, and nothing tried twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import DictRow, dict_row
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.fault import FaultError
from flashbench.trial.stores import OWN_NAME, SEARCH_PATH

PATIENCE_S = 2.0  # with a server that is loaded and well
SILENCE_S = 0.1  # without an answer, after which a server counts as silent
POLL_S = 0.005


def redis_client(url: str, limit_s: float = PATIENCE_S) -> redis.Redis:
    """A client to be used in a ``with``; redis.RedisError past the limit of any step."""
    return redis.Redis.from_url(url, **_redis_manners(limit_s), decode_responses=True, client_name=OWN_NAME)


def redis_connection(url: str, limit_s: float = PATIENCE_S) -> Any:
    """A bare connection that stands; its methods have no types. Whoever asks for it ends it."""
    connection: Any = redis.ConnectionPool.from_url(url, **_redis_manners(limit_s)).make_connection()
    connection.connect()
    return connection


def redis_life(url: str, limit_s: float = PATIENCE_S) -> str:
    """Which server process answers: a name that each gets anew at its start."""
    with redis_client(url, limit_s) as client:
        return str(client.info("server")["run_id"])


def redis_answers(url: str) -> bool:
    """Whether a PING is answered before silence counts as such."""
    try:
        with redis_client(url, SILENCE_S) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def redis_is_silent(url: str) -> str | None:
    """What shows that it takes connections and answers nothing; None if it does answer, or takes none."""
    try:
        with redis_client(url, SILENCE_S) as client:
            client.ping()
    except redis.TimeoutError:
        return f"it takes a connection, and leaves a PING unanswered for {1000 * SILENCE_S:.0f} ms"
    except redis.RedisError:
        return None
    return None


def redis_snapshot_file(client: redis.Redis) -> Path:
    """Where a Redis writes its snapshot, and looks for one when it starts."""
    return Path(redis_setting(client, "dir")) / redis_setting(client, "dbfilename")


def redis_setting(client: redis.Redis, name: str) -> str:
    """A setting's value at present. One at a time: several are too much for a Redis before 7."""
    return str(client.config_get(name)[name])


def postgres_session(url: str, settings: str = "") -> psycopg.Connection[DictRow]:
    """A session in which every statement is a transaction, unless told otherwise; psycopg.Error if there is none."""
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=int(PATIENCE_S),
        application_name=OWN_NAME,
        options=f"{SEARCH_PATH} -c statement_timeout={PATIENCE_S * 1000:.0f} -c jit=off {settings}",
        row_factory=dict_row,
    )


def wait_for(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Look until it is true; FaultError past the limit."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise FaultError(f"waited {limit_s:g} s for {what}")
        time.sleep(POLL_S)


def _redis_manners(limit_s: float) -> dict[str, Any]:
    """By default a command would be sent again and again, and connecting would take round trips of its own."""
    return {
        "socket_timeout": limit_s,
        "socket_connect_timeout": limit_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
