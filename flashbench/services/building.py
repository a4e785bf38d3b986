"""A stack on its way up: each server in its turn, and what is to be done about it from then on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from flashbench.errors import UsageError
from flashbench.services.app import start_app
from flashbench.services.child import Child
from flashbench.services.control import Order
from flashbench.services.discovery import discover_postgres, discover_redis
from flashbench.services.embedded_postgres import PostgresServer, describe_postgres
from flashbench.services.embedded_redis import RedisReplica, RedisServer
from flashbench.services.model import ServiceInfo, StackRequest
from flashbench.services.proxy.plan import through
from flashbench.services.proxy.server import ProxyServer
from flashbench.services.scratch import Scratch, sweep
from flashbench.services.server import Server
from flashbench.services.tending import Tended


class Building:
    """What it starts is taken down in the reverse order when ``stack`` is.

    ``check`` raises when nobody wants the stack any more, ``say`` tells of a step, ``complain`` of what went wrong
    later. UsageError if something is missing or can't be had together.
    """

    def __init__(
        self,
        request: StackRequest,
        stack: ExitStack,
        check: Callable[[], None],
        say: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        self._request, self._stack, self._check, self._say, self._complain = request, stack, check, say, complain
        self._found_postgres = discover_postgres(request.database_url)
        self._found_redis = discover_redis(request.redis_url)
        if request.replica and self._found_redis.origin == "given":
            raise UsageError("a replica follows a Redis of the harness's own only: leave --redis-url out.")
        sweep()
        self.scratch = Scratch()
        stack.callback(self.scratch.remove)
        self._logs = self.scratch.folder("logs")
        self._redis: RedisServer | None = None
        self._tended: list[Tended] = []
        self.gauges = self.scratch.folder("metrics")
        self.failpoints = self.scratch.folder("failpoints") if request.failpoints else None
        self.orders: dict[str, Callable[[Order], int]] = {}  # who carries out those for a server

    def postgres(self) -> ServiceInfo:
        """The given one, or one of our own."""
        found = self._found_postgres
        if found.origin == "given":
            return describe_postgres(found, found.location)
        self._say(f"starting Postgres {found.version} ({found.origin})")
        server = PostgresServer(found, self.scratch.folder("postgres"), self._logs)
        self._stack.callback(server.stop)
        server.create(self._check)
        self.orders["postgres"] = self._tend_to(server)
        return server.info

    def redis(self) -> ServiceInfo:
        """The given one, or one of our own."""
        found = self._found_redis
        if found.origin == "given":
            return ServiceInfo(
                **{name: getattr(found, name) for name in ("origin", "location", "version", "why")}, url=found.location
            )
        self._say(f"starting Redis {found.version} ({found.origin})")
        self._redis = server = RedisServer(
            found, self.scratch.folder("redis"), self._logs, copied=self._request.replica
        )
        self._stack.callback(server.stop)
        server.start(self._check)
        self.orders["redis"] = self._tend_to(server)
        return server.info

    def proxy(self, postgres: ServiceInfo, redis: ServiceInfo) -> ProxyServer:
        """Links to both stores, and for a replica one more to Redis."""
        servers = {"redis": redis.url, "postgres": postgres.url}
        rtt_ms = dict.fromkeys(servers, self._request.store_rtt_ms)
        if self._request.replica:
            servers["replica"] = redis.url
        self._say("starting the proxy")
        server = ProxyServer(servers, rtt_ms, self._logs)
        self._stack.callback(server.stop)
        server.start(self._check)
        self._tend_to(server)
        return server

    def replica(self, proxy: ProxyServer) -> str:
        """A second Redis that follows ours through the proxy; its URL."""
        assert self._redis is not None
        self._say("starting the replica")
        server = RedisReplica(self._redis, self.scratch.folder("replica"), self._logs, proxy.port("replica"))
        self._stack.callback(server.stop)
        server.start(self._check)
        server.catch_up(self._check)
        self.orders["replica"] = self._tend_to(server)
        return server.url

    def app(
        self, postgres: ServiceInfo, redis: ServiceInfo, proxy: ProxyServer | None, admin_token: str
    ) -> tuple[Child, str]:
        """The app's workers, led to the stores as was asked; and the base URL."""
        self._say(f"starting the app with {self._request.app_workers} workers")
        app, base_url = start_app(
            self._request,
            database_url=postgres.url if proxy is None else through(postgres.url, proxy.port("postgres")),
            redis_url=redis.url if proxy is None else through(redis.url, proxy.port("redis")),
            admin_token=admin_token,
            metrics=self.gauges,
            failpoints=self.failpoints,
            logs=self._logs,
            check=self._check,
        )
        self._stack.callback(app.stop)
        return app, base_url

    def tend(self) -> None:
        """Bring back what has ended unasked."""
        for each in self._tended:
            each.tend(time.monotonic())

    def _tend_to(self, server: Server) -> Tended:
        self._tended.append(Tended(server, self._check, self._complain))
        return self._tended[-1]
