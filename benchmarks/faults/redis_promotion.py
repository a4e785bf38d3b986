"""A replica that has missed the last writes is promoted, and the app is led to it; healed by failing back without loss.

The link between primary and replica is cut, so that the primary takes writes of which the replica never hears. Stopping
the replica would not do: what the primary has sent by then, it still gets. To fail back, the old primary becomes a
replica of the promoted one, gets all it has, and takes over while writes are held back: nothing is lost a second time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import redis
from pydantic import Field

from benchmarks.fault import Fault, FaultError, FaultOptions, Scene
from benchmarks.marker import Marker
from benchmarks.probes import redis_client, wait_for
from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.plan import server_place
from flashbench.trial.stores import OWN_NAME

_IN_SYNC_LIMIT_S = 2.0
_FULL_SYNC_LIMIT_S = 8.0
_LEVEL_LIMIT_S = 1.0  # for the last writes to arrive, while further ones are held back
_PAUSE_MS = 3000
_APP_LINK, _REPLICA_LINK = "redis", "replica"


class RedisPromotion(Fault):
    """What the app has been told is written, is gone: units that were sold are in the counter again."""

    hurts = "redis"
    needs = frozenset({"proxy", "replica"})
    heals_in_s = 3.0
    excludes = frozenset({"redis"})  # what others would hurt is the server that the app has left

    class Options(FaultOptions):
        """How long the primary goes on alone before the replica is promoted."""

        behind_s: Annotated[float, Field(ge=0.05, le=5)] = 0.5

    options: Options

    @classmethod
    def lasts_s(cls, options: FaultOptions, for_s: float) -> float:
        """It takes effect when the replica is promoted."""
        assert isinstance(options, cls.Options)
        return super().lasts_s(options, for_s) + options.behind_s

    def __init__(self, scene: Scene, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(scene, options)
        self._primary_url, self._replica_url = scene.redis_url, scene.replica_url or ""
        self._marker = Marker()
        self._leader: tuple[str, int] | None = None  # whom the replica follows
        self._written = 0  # by the primary, in bytes of its stream of writes
        self._promoted = self._back = False

    def prepare(self) -> None:
        """A replica that lags by itself proves nothing."""
        self._expect_in_sync()

    def inject(self) -> None:
        self._expect_in_sync()
        with redis_client(self._replica_url) as replica:
            follows = _replication(replica)
        self._leader = follows["master_host"], int(follows["master_port"])
        self.scene.links.ask(_REPLICA_LINK, self, Behaviour(refuse=True))
        self._marker.write(self._primary_url, "missed")
        time.sleep(self.options.behind_s)
        with redis_client(self._primary_url) as primary, redis_client(self._replica_url) as replica:
            self._written = int(_replication(primary)["master_repl_offset"])
            self._promoted = True
            replica.replicaof("NO", "ONE")
        self.began_ns = self.scene.links.proxy.point(_APP_LINK, self._replica_url)

    def bite(self) -> str | None:
        with redis_client(self._replica_url) as replica:
            state = _replication(replica)
            others = sum(1 for each in replica.client_list() if each["name"] != OWN_NAME)
        missed = self._written - (int(state["second_repl_offset"]) - 1)
        if state["role"] != "master" or missed <= 0 or self._marker.read(self._replica_url) is not None:
            return None
        if self.scene.links.proxy.leads_to(_APP_LINK) != server_place(self._replica_url):
            return None
        return (
            f"the app's link leads to a primary that lacks the last {missed} bytes of what the old one wrote; "
            f"{others} connections are on it"
        )

    def heal(self) -> None:
        if self._leader is None:
            return
        if self._promoted and not self._back:
            self._fail_back(self._leader)
        with redis_client(self._replica_url) as replica:
            if _replication(replica)["role"] == "master":
                replica.replicaof(*self._leader)
        self.scene.links.let_go(_REPLICA_LINK, self)

    def healed(self) -> str | None:
        if self._leader is None:
            return "no replica was promoted"
        with redis_client(self._primary_url) as primary, redis_client(self._replica_url) as replica:
            if _replication(primary)["role"] != "master" or not _follows(replica):
                return None
        if self._back and self._marker.read(self._primary_url) != "kept":
            raise FaultError("what was written to the promoted replica did not come back")
        self._marker.remove(self._primary_url)
        return "the old primary leads again, with what was written meanwhile, and its replica follows"

    def _fail_back(self, leader: tuple[str, int]) -> None:
        """Take all that the promoted one has, then lead again. May be tried again after any step that failed."""
        place = urlsplit(self._replica_url)
        with redis_client(self._primary_url) as old, redis_client(self._replica_url) as new:
            self._marker.write(self._replica_url, "kept")
            if _replication(old)["role"] == "master":
                old.replicaof(place.hostname, place.port)
            wait_for(
                lambda: _follows(old), _FULL_SYNC_LIMIT_S, "the old primary to have all of the promoted one's data"
            )
            new.client_pause(_PAUSE_MS, all=False)
            try:
                wait_for(lambda: _level(old, new), _LEVEL_LIMIT_S, "the last writes to arrive at the old primary")
                old.replicaof("NO", "ONE")
                self.scene.links.proxy.point(_APP_LINK, self._primary_url)
                self._back = True
                self.scene.links.let_go(_REPLICA_LINK, self)
                new.replicaof(*leader)
            finally:
                new.client_unpause()

    def _expect_in_sync(self) -> None:
        if not self._replica_url:
            raise FaultError("Redis has no replica that could be promoted")
        with redis_client(self._replica_url) as replica:
            wait_for(lambda: _follows(replica), _IN_SYNC_LIMIT_S, "the replica to be in sync with its primary")


def _replication(server: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = server.info("replication")
    return found


def _follows(server: redis.Redis) -> bool:
    """Whether a replica is connected to its primary, and has all that it had at some moment since."""
    state = _replication(server)
    return (
        state["role"] == "slave" and state["master_link_status"] == "up" and not int(state["master_sync_in_progress"])
    )


def _level(replica: redis.Redis, primary: redis.Redis) -> bool:
    written = int(_replication(primary)["master_repl_offset"])
    return _follows(replica) and int(_replication(replica)["slave_repl_offset"]) >= written
