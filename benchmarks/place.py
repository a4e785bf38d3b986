"""Where one trial runs at a time: a stack for every wiring of the suite, replaced if it was lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
import redis
from pydantic import ValidationError

from benchmarks.progress import RunProgress
from benchmarks.resuming import is_finished
from benchmarks.suite import Scenario
from benchmarks.warm_up import warm_up
from benchmarks.wiring import Wiring, shared
from benchmarks.workers import gone
from flashbench.catalogue import Contender
from flashbench.errors import UsageError
from flashbench.evidence.documents import FAULTS, fault_events
from flashbench.services import Stack, StackInfo, StackRequest
from flashbench.services.app import ready_workers
from flashbench.services.control import OrderRefusedError
from flashbench.services.machine import measure_postgres, measure_redis
from flashbench.services.proxy.control import ProxyControl
from flashbench.target.http import HttpTarget

WHOLE_WITHIN_S = 5.0


class Place:
    """Stacks that are up within the context; UsageError on entering it if one can't be had.

    ``contenders`` are those that any trial here is run with.
    """

    def __init__(
        self,
        request: StackRequest,
        scenarios: Sequence[Scenario],
        contenders: Sequence[Contender],
        progress: RunProgress,
    ) -> None:
        self._request, self._contenders, self._progress = request, contenders, progress
        self._wirings: Mapping[Wiring, Wiring] = shared(scenarios)
        self._stacks: dict[Wiring, Stack] = {}
        self._measured: dict[Wiring, dict[str, float]] = {}
        self._spoiled: set[Wiring] = set()
        self._leaving = ExitStack()

    def warm_up(self) -> None:
        """Let no trial pay for cold pools, plans and imports."""
        for stack in self._stacks.values():
            self._warm_up(stack.info)

    @property
    def first(self) -> StackInfo:
        """The stack of the suite's first scenario."""
        return next(iter(self._stacks.values())).info

    def stack(self, scenario: Scenario) -> StackInfo:
        """The stack for a scenario; a new one if the last was lost or spoiled: the rest of the suite must go on."""
        way = Wiring.of(scenario).way
        if way in self._spoiled or not _serves(self._stacks[way]):
            self._progress.step("the stack is not whole any more; starting another")
            self._stacks[way].stop()
            self._start(way)
            self._spoiled.discard(way)
            self._warm_up(self._stacks[way].info)
        return self._stacks[way].info

    def see(self, scenario: Scenario, folder: Path) -> None:
        """Look at the evidence of a trial that is over: what its faults did and nobody undid must not meet the next."""
        if scenario.faults and not (is_finished(folder) and _all_undone(folder, len(scenario.faults))):
            self._spoiled.add(Wiring.of(scenario).way)

    def wiring(self, scenario: Scenario) -> dict[str, Any]:
        """What a trial of the scenario says of its stack; with the round trips through the proxy if there is one."""
        wiring = Wiring.of(scenario)
        measured = self._measured.get(wiring.way)
        return {**wiring.document(), **({"round_trip_us": measured} if measured is not None else {})}

    def __enter__(self) -> Self:
        try:
            for way in self._wirings:
                self._start(way)
        except BaseException:
            self._leaving.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.close()

    def _start(self, way: Wiring) -> None:
        stack = Stack.start(self._wirings[way].stack(self._request), progress=self._progress.step)
        self._leaving.callback(stack.stop)
        self._stacks[way] = stack
        if stack.info.proxy is not None:
            try:
                self._measured[way] = _round_trips_us(stack.info, ProxyControl(stack.info.proxy))
            except (OSError, OrderRefusedError, redis.RedisError, psycopg.Error) as trouble:
                raise UsageError(f"the stack that was started does not answer ({trouble}): try again.") from trouble

    def _warm_up(self, info: StackInfo) -> None:
        warm_up(info, _registered_names(info, self._contenders))


def _serves(stack: Stack) -> bool:
    """Whether the app and every worker of it are there and ready, the last one perhaps after a moment."""
    assert stack.info.base_url is not None
    if stack.info.app_pid is None or not _lives(stack.info.app_pid):
        return False
    ready: set[int] = set()
    deadline_s = time.monotonic() + WHOLE_WITHIN_S
    while stack.alive and time.monotonic() < deadline_s:
        ready |= ready_workers(stack.info.base_url, 2 * stack.info.app_workers)
        if len(ready) >= stack.info.app_workers:
            return True
    return False


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return not gone(psutil.Process(pid))
    return False


def _all_undone(folder: Path, planned: int) -> bool:
    """Whether so many faults were seen to be healed; one that nobody wrote down may have been injected all the same."""
    try:
        events = fault_events((folder / FAULTS).read_bytes())
    except (OSError, ValidationError):
        return False
    return {event.place for event in events if event.step == "healed"} >= set(range(planned))


def _round_trips_us(info: StackInfo, proxy: ProxyControl) -> dict[str, float]:
    """Medians of what the app sees of its stores, through the proxy."""
    return {
        "redis": measure_redis(proxy.by_way_of("redis", info.redis_url)).p50_us,
        "postgres": measure_postgres(proxy.by_way_of("postgres", info.database_url)).p50_us,
    }


def _registered_names(info: StackInfo, contenders: Sequence[Contender]) -> list[str]:
    assert info.base_url is not None
    with closing(HttpTarget(info.base_url, info.admin_token)) as target:
        offer = target.offer()
    names = [offer.registered_name(each.name, each.plugin) for each in contenders]
    return [name for name in names if name is not None]
