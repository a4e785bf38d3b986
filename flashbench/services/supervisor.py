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
from collections.abc import Iterator

from flashbench.errors import UsageError
from flashbench.services.app import PluginRefusedError, start_app
from flashbench.services.child import Child, OwnerGoneError, StartFailedError
from flashbench.services.discovery import discover_postgres, discover_redis
from flashbench.services.model import ServiceInfo, StackInfo, StackRequest
from flashbench.services.scratch import Scratch, filesystem_of, sweep
from flashbench.services.stores import describe_postgres, start_postgres, start_redis


class Owner:
    """Whoever started us: a process, and the pipe from it."""

    def __init__(self, pid: int) -> None:
        try:
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            raise OwnerGoneError from None
        self._stopping = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def wait(self, limit_s: float | None) -> bool:
        """True if the owner is gone or wants us gone; waits for that up to the limit, for ever if None."""
        watched = [sys.stdin.buffer] + ([self._pidfd] if self._pidfd is not None else [])
        while not self._stopping:
            step = 0.5 if limit_s is None else limit_s
            if select.select(watched, [], [], step)[0]:
                return True
            if limit_s is not None:
                return self._stopping
        return True

    def check(self) -> None:
        """OwnerGoneError as soon as nobody wants the stack any more."""
        if self.wait(0):
            raise OwnerGoneError


def say(**message: object) -> None:
    """One line to the owner; that nobody listens is found out elsewhere."""
    with contextlib.suppress(BrokenPipeError, OSError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


@contextlib.contextmanager
def running(request: StackRequest, owner: Owner) -> Iterator[StackInfo]:
    """Everything that was asked for, up; and down again in the reverse order, whatever happens."""
    with contextlib.ExitStack() as stack:
        found_postgres = discover_postgres(request.database_url)
        found_redis = discover_redis(request.redis_url)
        sweep()
        scratch = Scratch()
        stack.callback(scratch.remove)
        logs = scratch.folder("logs")

        def own(started: tuple[Child, ServiceInfo]) -> ServiceInfo:
            stack.callback(started[0].stop)
            return started[1]

        if found_postgres.origin == "given":
            postgres = describe_postgres(found_postgres, found_postgres.location)
        else:
            say(progress=f"starting Postgres {found_postgres.version} ({found_postgres.origin})")
            postgres = own(start_postgres(found_postgres, scratch.folder("postgres"), logs, owner.check))
        if found_redis.origin == "given":
            redis = ServiceInfo(
                **{name: getattr(found_redis, name) for name in ("origin", "location", "version", "why")},
                url=found_redis.location,
            )
        else:
            say(progress=f"starting Redis {found_redis.version} ({found_redis.origin})")
            redis = own(start_redis(found_redis, scratch.folder("redis"), logs, owner.check))
        admin_token = secrets.token_urlsafe(24)
        base_url, app_pid = None, None
        if request.with_app:
            say(progress=f"starting the app with {request.app_workers} workers")
            app, base_url = start_app(
                request,
                database_url=postgres.url,
                redis_url=redis.url,
                admin_token=admin_token,
                metrics=scratch.folder("metrics"),
                logs=logs,
                check=owner.check,
            )
            stack.callback(app.stop)
            app_pid = app.pid
        yield StackInfo(
            base_url=base_url,
            admin_token=admin_token,
            postgres=postgres,
            redis=redis,
            scratch=str(scratch.path),
            scratch_filesystem=filesystem_of(scratch.path),
            app_workers=request.app_workers,
            app_pid=app_pid,
            supervisor_pid=os.getpid(),
        )


def main() -> None:
    """Serve one owner, then leave nothing behind."""
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return
    try:
        owner = Owner(order["owner_pid"])
        with running(StackRequest.model_validate(order["request"]), owner) as info:
            say(ready=info.model_dump())
            owner.wait(None)
    except OwnerGoneError:
        pass
    except (UsageError, PluginRefusedError, StartFailedError) as refusal:
        say(refused=str(refusal))


if __name__ == "__main__":
    main()
