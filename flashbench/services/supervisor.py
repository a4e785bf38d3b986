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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any

import psycopg
import redis

from flashbench.errors import UsageError
from flashbench.services.app import PluginRefusedError
from flashbench.services.building import Building
from flashbench.services.child import OwnerGoneError, StartFailedError
from flashbench.services.control import ControlDesk
from flashbench.services.model import StackInfo, StackRequest
from flashbench.services.scratch import filesystem_of

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
        building = Building(request, stack, owner.check, lambda step: say(progress=step), complain)
        postgres, redis = building.postgres(), building.redis()
        proxy = building.proxy(postgres, redis) if request.proxied else None
        replica_url = building.replica(proxy) if proxy is not None and request.replica else None
        admin_token = secrets.token_hex(24)  # no dash in front: on a command line it would be taken for an option
        app, base_url = building.app(postgres, redis, proxy, admin_token) if request.with_app else (None, None)
        desk = stack.enter_context(contextlib.closing(ControlDesk(building.orders)))
        info = StackInfo(
            base_url=base_url,
            admin_token=admin_token,
            postgres=postgres,
            redis=redis,
            scratch=str(building.scratch.path),
            scratch_filesystem=filesystem_of(building.scratch.path),
            app_workers=request.app_workers,
            app_pid=app.pid if app is not None else None,
            supervisor_pid=os.getpid(),
            control=desk.address,
            gauges=str(building.gauges),
            proxy=proxy.address if proxy is not None else None,
            replica_url=replica_url,
            failpoints=str(building.failpoints) if building.failpoints is not None else None,
        )
        yield Running(info, desk, building.tend)


def main() -> None:
    """Serve one owner, then leave nothing behind."""
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return
    told = False
    try:
        owner = Owner(order["owner_pid"])
        with running(StackRequest.model_validate(order["request"]), owner) as up:
            say(ready=up.info.model_dump())
            told = True
            owner.serve(up.desk, up.tend)
    except OwnerGoneError:
        pass
    except (UsageError, PluginRefusedError, StartFailedError) as refusal:
        say(refused=str(refusal))
    except (OSError, SubprocessError, psycopg.Error, redis.RedisError) as trouble:
        if told:
            raise  # nobody reads any more
        say(refused=f"the stack can't be had: {' '.join(str(trouble).split()) or type(trouble).__name__}.")


if __name__ == "__main__":
    main()
