"""Everything that can be set, from environment variables with the prefix TARGET_APP_."""

from __future__ import annotations

from typing import Annotated

from pydantic import DirectoryPath, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from target_app.strategies.protocol import Limits

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Time limits nest: lock < statement < transaction < lease, so that nothing outlives what protects it."""

    model_config = SettingsConfigDict(env_prefix="TARGET_APP_", frozen=True)

    database_url: SecretStr
    redis_url: SecretStr | None = None
    admin_token: Annotated[SecretStr, Field(min_length=8)]
    strategies: tuple[str, ...] = ()  # plug-ins, "/absolute/path.py:ClassName"
    failpoints: DirectoryPath | None = None  # where they are armed; without it there are none

    database_pool: Annotated[int, Field(ge=1)] = 20  # connections a worker
    database_queue: Annotated[int, Field(ge=1)] = 1024  # purchases, and reads, that wait for one; more are shed
    database_wait_s: Seconds = 1.0
    database_start_s: Seconds = 60.0  # for a Postgres that is away when a worker starts
    lock_timeout_s: Seconds = 1.0
    statement_timeout_s: Seconds = 1.5
    transaction_timeout_s: Seconds = 1.8
    lookup_timeout_s: Seconds = 1.0
    purchase_limit_s: Seconds = 1.6  # from its arrival to the end of its transaction; what comes to it later is shed
    in_flight_wait_s: Seconds = 1.6  # for the first request with the same key

    lease_s: Seconds = 3.0  # of a lock, or of units held, in Redis
    redis_command_s: Seconds = 0.15
    redis_connect_s: Seconds = 0.15
    redis_breaker: bool = True  # without it every call to a Redis that is away waits for its own limit

    cache_ttl_s: Seconds = 1.0
    cache_stale_s: Seconds = 10.0  # how long past its TTL a value may stand in for a database that is away
    cache_negative_ttl_s: Seconds = 0.5
    cache_tombstone_ttl_s: Seconds = 2.0
    cache_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.15  # 0: what was cached together expires together
    cache_early_beta: Annotated[float, Field(ge=0)] = 1.0  # 0: nothing is refreshed before it expires
    cache_single_flight: bool = True  # without it everybody who misses reads the database
    # Products that a worker remembers, for the same TTL, while Redis can't; 0: every read of them asks the database.
    cache_own_copies: Annotated[int, Field(ge=0)] = 1024
    # Product reads at Postgres at once, a worker. So many connections are theirs: no purchase takes them. As many as
    # there are connections, or more: no bulkhead, purchases and reads stand in one line.
    cache_bypass_reads: Annotated[int, Field(ge=1)] = 4

    @model_validator(mode="after")
    def _limits_nest(self) -> Settings:
        if not self.lock_timeout_s <= self.statement_timeout_s <= self.transaction_timeout_s:
            raise ValueError("time limits must nest: lock_timeout_s <= statement_timeout_s <= transaction_timeout_s")
        if self.limits.commit_s >= self.lease_s:
            raise ValueError("database_wait_s + transaction_timeout_s must be shorter than lease_s")
        return self

    @property
    def limits(self) -> Limits:
        """What strategies obey."""
        return Limits(
            lock_lease_s=self.lease_s,
            hold_lease_s=self.lease_s,
            statement_timeout_s=self.statement_timeout_s,
            commit_s=self.database_wait_s + self.transaction_timeout_s,
        )

    @property
    def purchase_connections(self) -> int:
        """How many connections purchases may use, or stand in line for, at once."""
        if self.cache_bypass_reads < self.database_pool:
            return self.database_pool - self.cache_bypass_reads
        return self.database_pool + self.database_queue

    @property
    def longest_timer_s(self) -> float:
        """After this long without a request nothing in the app can still change a store."""
        return max(self.lease_s, self.transaction_timeout_s)
