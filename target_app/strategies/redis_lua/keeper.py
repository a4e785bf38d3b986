"""Keeps the counters that a worker has lately used true: reaps, seeds what is missing or owed, compares at rest.

Every worker tends what it has touched, so the holds of one that died are reaped by the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from uuid import UUID

from target_app.cache.single_flight import SingleFlight
from target_app.strategies.protocol import DatabaseAwayError, RedisAwayError, Resources, Sale
from target_app.strategies.redis_lua.counter import SkuCounter, State, look

ROUND_S = 0.25  # between two rounds, and so between two seeds of a counter that is merely stale
COMPARE_EVERY_S = 1.0


class Seeding(Enum):
    """What came of an attempt to seed."""

    APPLIED = "applied"
    OVERTAKEN = "another seed came in between"
    FAILED = "a store is away"


@dataclass(slots=True)
class Tended:
    """One SKU that this worker looks after. ``owed`` names the last reason why a seed is owed; None if none is."""

    sale: Sale
    sku: str
    counter: SkuCounter
    requests: int = 0  # under way
    used_s: float = field(default_factory=time.monotonic)  # when the last of them ended
    owed: object | None = None
    compared_s: float = 0.0

    @property
    def name(self) -> tuple[UUID, str]:
        return self.sale.sale_id, self.sku

    def owe(self) -> None:
        """Something was sold, or may have been, of which the counter has not heard."""
        self.owed = object()


class Keeper:
    """One worker's counters, and the background task that tends them."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._tended: dict[tuple[UUID, str], Tended] = {}
        self._seeding: SingleFlight[tuple[UUID, str], Seeding] = SingleFlight()
        self._task: asyncio.Task[None] | None = None
        self._away = False

    @contextmanager
    def using(self, sale: Sale, sku: str) -> Iterator[Tended]:
        """The SKU, for as long as a request is under way."""
        (tended,) = self.tend(sale, [sku])
        tended.requests += 1
        try:
            yield tended
        finally:
            tended.requests -= 1
            tended.used_s = time.monotonic()

    def tend(self, sale: Sale, skus: Collection[str]) -> list[Tended]:
        """The SKUs, looked after from now on."""
        found = []
        for sku in skus:
            tended = self._tended.get((sale.sale_id, sku))
            if tended is None:
                tended = Tended(sale, sku, SkuCounter(self._resources, sale.sale_id, sku))
                self._tended[tended.name] = tended
            found.append(tended)
        if self._task is None:
            self._task = asyncio.create_task(self._keep())
            self._task.add_done_callback(_report)
        return found

    async def look(self, tended: Sequence[Tended], *, reap: bool = False) -> list[State]:
        """The states of counters; RedisAwayError."""
        return await look(self._resources.redis, [each.counter for each in tended], reap=reap)

    async def seed(self, tended: Tended) -> Seeding:
        """Set a counter to what Postgres has, once for all who ask at the same time."""

        async def seed() -> Seeding:
            (outcome,) = await self.seed_all([tended])
            return outcome

        return await self._seeding.run(tended.name, seed)

    async def seed_all(self, tended: Sequence[Tended]) -> list[Seeding]:
        """Set counters of one sale to what Postgres has.

        The epochs are read before Postgres, never after. A debt is cleared only by the very seed that was applied, and
        only if nothing came to be owed since before its look.
        """
        owed = [each.owed for each in tended]
        outcomes: list[Seeding] = []
        try:
            seen = await self.look(tended)
            remaining = await self._remaining(tended)
            for each, state, debt in zip(tended, seen, owed, strict=True):
                applied = await each.counter.seed(state, remaining[each.sku])
                outcomes.append(Seeding.APPLIED if applied else Seeding.OVERTAKEN)
                if applied and each.owed is debt:
                    each.owed = None
        except (RedisAwayError, DatabaseAwayError):
            outcomes += [Seeding.FAILED] * (len(tended) - len(outcomes))
        return outcomes

    async def close(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._seeding.close()

    async def _remaining(self, tended: Sequence[Tended]) -> dict[str, int]:
        rows = await self._resources.ledger.stock_rows(tended[0].sale, [each.sku for each in tended])
        return {row.sku: row.remaining for row in rows}

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(ROUND_S)
            if self._resources.redis.available:
                self._away = False
                try:
                    await self._round()
                except (RedisAwayError, DatabaseAwayError):
                    continue
            elif not self._away:
                self._away = True  # Redis may come back empty, or with an old state
                for tended in self._tended.values():
                    tended.owe()

    async def _round(self) -> None:
        every = sorted(self._tended.values(), key=lambda tended: tended.name)
        for _, group in groupby(every, key=lambda tended: tended.sale.sale_id):
            tended = list(group)
            states = await self.look(tended, reap=True)
            wrong, resting = [], []
            for each, state in zip(tended, states, strict=True):
                if state.avail is None or state.stale or each.owed is not None:
                    wrong.append(each)
                elif self._rests(each, state):
                    resting.append((each, state))
            if wrong:
                await self.seed_all(wrong)
            if resting:
                await self._compare(resting)

    def _rests(self, tended: Tended, state: State) -> bool:
        """Whether nothing is under way here, so that the counter should equal Postgres; not asked at every round."""
        return not tended.requests and not state.held and time.monotonic() - tended.compared_s >= COMPARE_EVERY_S

    async def _compare(self, resting: Sequence[tuple[Tended, State]]) -> None:
        """Seed what differs from Postgres, whatever it says of itself: an old state that came back says nothing.

        What agrees, and has been left alone for longer than a commit can take, needs no more tending here.
        """
        started_s = time.monotonic()
        tended = [each for each, _ in resting]
        remaining = await self._remaining(tended)
        again = await self.look(tended)
        differing = []
        for (each, before), after in zip(resting, again, strict=True):
            each.compared_s = started_s
            if before != after or each.requests:
                continue  # somebody is buying: what differs may be on its way
            if after.avail != remaining[each.sku]:
                differing.append(each)
            elif started_s - each.used_s > self._resources.limits.commit_s and each.owed is None:
                del self._tended[each.name]
        if differing:
            await self.seed_all(differing)


def _report(task: asyncio.Task[None]) -> None:
    """A keeper ends only by being cancelled; anything else is a bug, and must not pass in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "the keeper of counters died", "exception": error})
