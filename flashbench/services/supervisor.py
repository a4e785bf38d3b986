"""The one process that owns the servers: ``python -m flashbench.services.supervisor``, started by ``Stack``.

It reads a request from standard input and answers with lines of JSON. It is the leader of a session of its own, so a
Ctrl-C in the owner's terminal never reaches it. It stops everything when standard input ends or the owner's process is
gone, whichever comes first: a forked child of the owner may hold the pipe open long after the owner was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flashbench.errors import UsageError
from flashbench.services.app import PluginRefusedError, start_app
from flashbench.services.child import OwnerGoneError, StartFailedError
from flashbench.services.control import ControlDesk
from flashbench.services.discovery import discover_postgres, discover_redis
from flashbench.services.embedded_postgres import describe_postgres, start_postgres
from flashbench.services.embedded_redis import RedisServer
from flashbench.services.model import ServiceInfo, StackInfo, StackRequest
from flashbench.services.scratch import Scratch, filesystem_of, sweep
from flashbench.services.tending import TendedRedis

TEND_EVERY_S = 0.5


class Owner:
    """Whoever started us: a process, and the pipe from it."""

    def __init__(self, pid: int) -> None:
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise OwnerGoneError from None
        self._stopping = False
        self._watched: list[Any] = [sys.stdin.buffer, self._pidfd]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def check(self) -> None:
        """OwnerGoneError as soon as nobody wants the stack any more."""
        if self._stopping or select.select(self._watched, [], [], 0)[0]:
            raise OwnerGoneError

    def serve(self, desk: ControlDesk, tend: Callable[[], None]) -> None:
        """Answer at the desk and tend the servers until the owner is gone or wants us gone."""
        while not self._stopping:
            ready = select.select([*self._watched, desk], [], [], TEND_EVERY_S)[0]
            if ready and ready != [desk]:
                return
            if ready:
                desk.serve()
            tend()


def say(**message: object) -> None:
    """One line to the owner; that nobody listens is found out elsewhere."""
    with contextlib.suppress(BrokenPipeError, OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def complain(sentence: str) -> None:
    """To the terminal, if there is one left."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that is up: what is known of it, and what has to be done while it is."""

    info: StackInfo
    desk: ControlDesk
    tend: Callable[[], None]


@contextlib.contextmanager
def running(request: StackRequest, owner: Owner) -> Iterator[Running]:
    """Everything that was asked for, up; and down again in the reverse order, whatever happens."""
    with contextlib.ExitStack() as stack:
        found_postgres = discover_postgres(request.database_url)
        found_redis = discover_redis(request.redis_url)
        sweep()
        scratch = Scratch()
        stack.callback(scratch.remove)
        logs = scratch.folder("logs")
        if found_postgres.origin == "given":
            postgres = describe_postgres(found_postgres, found_postgres.location)
        else:
            say(progress=f"starting Postgres {found_postgres.version} ({found_postgres.origin})")
            server, postgres = start_postgres(found_postgres, scratch.folder("postgres"), logs, owner.check)
            stack.callback(server.stop)
        tended: dict[str, TendedRedis] = {}
        if found_redis.origin == "given":
            redis = ServiceInfo(
                **{name: getattr(found_redis, name) for name in ("origin", "location", "version", "why")},
                url=found_redis.location,
            )
        else:
            say(progress=f"starting Redis {found_redis.version} ({found_redis.origin})")
            redis_server = RedisServer(found_redis, scratch.folder("redis"), logs)
            redis_server.start(owner.check)
            stack.callback(redis_server.stop)
            redis = redis_server.info
            tended["redis"] = TendedRedis(redis_server, owner.check, complain)
        admin_token = secrets.token_urlsafe(24)
        base_url, app_pid = None, None
        gauges = scratch.folder("metrics")
        if request.with_app:
            say(progress=f"starting the app with {request.app_workers} workers")
            app, base_url = start_app(
                request,
                database_url=postgres.url,
                redis_url=redis.url,
                admin_token=admin_token,
                metrics=gauges,
                logs=logs,
                check=owner.check,
            )
            stack.callback(app.stop)
            app_pid = app.pid
        desk = stack.enter_context(contextlib.closing(ControlDesk(tended)))
        info = StackInfo(
            base_url=base_url,
            admin_token=admin_token,
            postgres=postgres,
            redis=redis,
            scratch=str(scratch.path),
            scratch_filesystem=filesystem_of(scratch.path),
            app_workers=request.app_workers,
            app_pid=app_pid,
            supervisor_pid=os.getpid(),
            control=desk.address,
            gauges=str(gauges),
        )

        def tend() -> None:
            for each in tended.values():
                each.tend(time.monotonic())

        yield Running(info, desk, tend)


def main() -> None:
    """Serve one owner, then leave nothing behind."""
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return
    try:
        owner = Owner(order["owner_pid"])
        with running(StackRequest.model_validate(order["request"]), owner) as up:
            say(ready=up.info.model_dump())
            owner.serve(up.desk, up.tend)
    except OwnerGoneError:
        pass
    except (UsageError, PluginRefusedError, StartFailedError) as refusal:
        say(refused=str(refusal))


if __name__ == "__main__":
    main()
