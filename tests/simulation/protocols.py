"""What a crowd needs of a protocol, and the protocols that there are."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from flashbench.vocabulary import Outcome
from tests.simulation.history import Request
from tests.simulation.network import Breakable
from tests.simulation.postgres import Postgres
from tests.simulation.redis_lock import RedisLock
from tests.simulation.redis_lua import RedisLua
from tests.simulation.worker import Worker
from tests.simulation.world import Steps, World


class Strategy(Protocol):
    """What the crowd needs of a protocol."""

    @property
    def redis(self) -> Breakable:
        """Its Redis, for the faults."""

    def buy(self, worker: Worker, request: Request) -> Steps[Outcome]:
        """One request."""

    def keep(self, worker: Worker) -> Steps[None]:
        """One round of a worker's background task."""

    def reconcile(self, worker: Worker) -> Steps[None]:
        """Make the counter agree with Postgres, asked for at any moment, without stopping sales."""

    def check_step(self) -> None:
        """After every step."""

    def check_rest(self, *, exact: bool) -> None:
        """With nothing in flight, and leases over."""

    def check_lone_purchase(self, request: Request) -> None:
        """After a purchase at rest, with everything healed."""


class ProtocolName(Enum):
    """The protocols that are simulated."""

    REDIS_LUA = "redis_lua"
    REDIS_LOCK = "redis_lock"


MAKERS: dict[ProtocolName, Callable[[World, Postgres], Strategy]] = {
    ProtocolName.REDIS_LUA: RedisLua,
    ProtocolName.REDIS_LOCK: RedisLock,
}
