"""Redis decides fast and sheds the losers; Postgres has the last word.

Invariant: avail + held >= Postgres' remaining, always. A counter that is too high costs a transaction that is refused;
one that is too low would refuse a buyer wrongly. So units leave the counter only by ``settle``: by the request whose
hold was answered, after its own insert committed, and only while that hold is still there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from target_app.strategies.aftermath import Aftermath
from target_app.strategies.protocol import (
    Counter,
    CounterKey,
    DatabaseAwayError,
    KeyReusedError,
    Limited,
    Purchase,
    RedisAwayError,
    Resources,
    Result,
    Sale,
    Sold,
    SoldOut,
    Strategy,
    Unavailable,
)
from target_app.strategies.redis_lua.counter import COUNTER_KEY, SETTLED_KEY, Decision
from target_app.strategies.redis_lua.keeper import Keeper, Seeding, Tended
from target_app.strategies.redis_lua.waiting import CHANNEL, Waiting


class RedisLua(Strategy):
    """Hold in Redis, commit in Postgres, settle in Redis."""

    name = "redis_lua"
    summary = "atomic Lua hold in Redis, guarded Postgres transaction, settled or given back after it"
    counter = CounterKey(COUNTER_KEY, remaining_field="avail", held_field="held")
    declared_keys = (COUNTER_KEY, SETTLED_KEY)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._keeper = Keeper(resources)
        self._aftermath = Aftermath()
        self._waiting = Waiting()
        self._listens = False

    async def open(self, sale: Sale) -> None:
        # If Redis is away, whoever finds a counter missing seeds it.
        await self._keeper.seed_all(self._keeper.tend(sale, sale.items))

    async def buy(self, purchase: Purchase) -> Result:
        if not self._listens:
            self._listens = True
            self.resources.redis.listen(CHANNEL, self._waiting.hear)
        with self._keeper.using(purchase.sale, purchase.sku) as tended:
            if not await self._believes(tended):
                return await self._buy_unheld(purchase, tended)
            token = secrets.token_hex(8)
            try:
                decision = await self._decide(purchase, tended, token)
            except RedisAwayError:
                # The hold may yet be taken, after a seed that has counted this very sale: so it is never settled.
                return await self._buy_unheld(purchase, tended)
            if decision is Decision.HELD:
                return await self._buy_held(purchase, tended, token)
            if decision in (Decision.SOLD_OUT, Decision.LIMITED):
                return await self._refuse(purchase, decision)
            return await self._buy_unheld(purchase, tended)

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        tended = self._keeper.tend(sale, sale.items)
        try:
            states = await self._keeper.look(tended)
        except RedisAwayError:
            return {}
        return {
            each.sku: Counter(state.avail, None if state.avail is None else state.held)
            for each, state in zip(tended, states, strict=True)
        }

    async def reconcile(self, sale: Sale) -> None:
        await self._keeper.seed_all(self._keeper.tend(sale, sale.items))

    async def close(self) -> None:
        await self._aftermath.close()
        await self._keeper.close()

    async def _believes(self, tended: Tended) -> bool:
        """Whether the counter may be asked: Redis is there, and what this worker owes it is seeded."""
        if not self.resources.redis.available:
            return False
        return tended.owed is None or await self._keeper.seed(tended) is not Seeding.FAILED

    async def _decide(self, purchase: Purchase, tended: Tended, token: str) -> Decision:
        """Ask Redis: seeding a missing counter once, and waiting a little for units that others hold."""
        decision = await self._hold(purchase, tended, token)
        if decision is Decision.MISSING and await self._keeper.seed(tended) is not Seeding.FAILED:
            decision = await self._hold(purchase, tended, token)
        if decision is not Decision.WAIT:
            return decision
        give_up_s = time.monotonic() + self.resources.limits.wait_s
        with self._waiting.for_units(tended.counter.key, purchase.quantity) as news:
            while True:
                news.expect()  # before asking: what changes between the answer and the waiting must not be missed
                decision = await self._hold(purchase, tended, token)
                left_s = give_up_s - time.monotonic()
                if decision is not Decision.WAIT or left_s <= 0:
                    return decision
                await news.within(left_s)

    async def _hold(self, purchase: Purchase, tended: Tended, token: str) -> Decision:
        try:
            return await tended.counter.hold(purchase, token)
        except asyncio.CancelledError:  # it may have been sent
            self._aftermath.begin(self._tell(tended, token, settle=None, mark=False))
            raise

    async def _refuse(self, purchase: Purchase, decision: Decision) -> Result:
        """Before a refusal is answered its key is looked up, after the decision: a twin may have sold meanwhile."""
        try:
            found = await self.resources.ledger.find(purchase.sale, purchase.key)
        except DatabaseAwayError as error:
            return Unavailable(str(error), no_effect=True)
        if found is None:
            return SoldOut() if decision is Decision.SOLD_OUT else Limited()
        made, sold = found
        if (made.sku, made.quantity, made.user_id) != (purchase.sku, purchase.quantity, purchase.user_id):
            raise KeyReusedError(purchase.key)
        return sold

    async def _buy_held(self, purchase: Purchase, tended: Tended, token: str) -> Result:
        try:
            await self.resources.reach("after_hold")
            result = await self.resources.ledger.commit(purchase)
        except KeyReusedError:
            await self._aftermath.see_to(self._tell(tended, token, settle=None, mark=False))
            raise
        except BaseException:  # cancelled, perhaps during COMMIT: as an unknown commit
            await self._aftermath.see_to(self._doubt(tended, token))
            raise
        match result:
            case Sold(replayed=False):
                await self._aftermath.see_to(self._tell(tended, token, settle=purchase, mark=False))
            case Unavailable(no_effect=False):
                await self._aftermath.see_to(self._doubt(tended, token))
            case _:
                contradicted = isinstance(result, Sold | SoldOut)
                await self._aftermath.see_to(self._tell(tended, token, settle=None, mark=contradicted))
        return result

    async def _buy_unheld(self, purchase: Purchase, tended: Tended) -> Result:
        """The guarded path. What it sells is never taken from the counter: a seed may have counted it already."""
        try:
            result = await self.resources.ledger.commit(purchase)
        except KeyReusedError:
            raise
        except BaseException:  # cancelled, perhaps during COMMIT
            tended.owe()
            raise
        match result:
            case Unavailable(no_effect=False):
                tended.owe()
            case Sold() | SoldOut():
                await self._aftermath.see_to(self._mark(tended))
        return result

    # Whatever comes of telling Redis, the answer to the buyer stands; what it was not told is owed.

    async def _tell(self, tended: Tended, token: str, *, settle: Purchase | None, mark: bool) -> None:
        with _telling(tended):
            await self.resources.reach("before_release")
            if settle is not None:
                await tended.counter.settle(settle, token)
            else:
                await tended.counter.give_back(token, mark=mark)

    async def _doubt(self, tended: Tended, token: str) -> None:
        with _telling(tended):
            await tended.counter.doubt(token)

    async def _mark(self, tended: Tended) -> None:
        with _telling(tended):
            await tended.counter.mark()


@contextmanager
def _telling(tended: Tended) -> Iterator[None]:
    """Whatever keeps Redis from being told, a seed is owed; that Redis is away is no error."""
    try:
        yield
    except RedisAwayError:
        tended.owe()
    except BaseException:
        tended.owe()
        raise
