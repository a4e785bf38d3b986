"""Redis decides fast and sheds the losers; Postgres has the last word.

Invariant: avail + held >= Postgres' remaining, always. A counter that is too high costs a transaction that is refused;
one that is too low would refuse a buyer wrongly. So units leave the counter only by ``settle``: by the request whose
hold was answered, after its own insert committed, and only while that hold is still there.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping

from target_app.cache.single_flight import SingleFlight
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
from target_app.strategies.redis_lua.counter import COUNTER_KEY, SETTLED_KEY, Decision, State
from target_app.strategies.redis_lua.keeper import Keeper, Tended

LOOK_AGAIN_S = 0.01  # between two looks of a worker at units that others hold


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
        self._looks: SingleFlight[str, State] = SingleFlight()

    async def open(self, sale: Sale) -> None:
        for sku in sale.items:
            if not await self._keeper.seed(self._keeper.tend(sale, sku)):
                return  # Redis is away: whoever finds a counter missing seeds it

    async def buy(self, purchase: Purchase) -> Result:
        tended = self._keeper.tend(purchase.sale, purchase.sku)
        if not self.resources.redis.available or (tended.owed is not None and not await self._keeper.seed(tended)):
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
        found = {}
        for sku in sale.items:
            try:
                state = await self._keeper.tend(sale, sku).counter.look()
            except RedisAwayError:
                return {}
            found[sku] = Counter(state.avail, state.held)
        return found

    async def reconcile(self, sale: Sale) -> None:
        for sku in sale.items:
            await self._keeper.compare(self._keeper.tend(sale, sku))

    async def close(self) -> None:
        await self._aftermath.close()
        await self._keeper.close()
        await self._looks.close()

    async def _decide(self, purchase: Purchase, tended: Tended, token: str) -> Decision:
        """Ask Redis: seeding a missing counter once, and waiting a little for units that others hold."""
        give_up_s = time.monotonic() + self.resources.limits.wait_s
        seeded = False
        while True:
            decision = await tended.counter.hold(purchase, token)
            if decision is Decision.MISSING and not seeded:
                seeded = True
                if not await self._keeper.seed(tended):
                    return decision
            elif decision is not Decision.WAIT or time.monotonic() >= give_up_s:
                return decision
            else:
                await self._wait_for_holds(purchase, tended, give_up_s)

    async def _wait_for_holds(self, purchase: Purchase, tended: Tended, give_up_s: float) -> None:
        """Until what is asked for may be had, or is gone for good. All who wait in a worker share one look."""

        async def look() -> State:
            await asyncio.sleep(LOOK_AGAIN_S)
            return await tended.counter.look()

        name = f"{purchase.sale.sale_id}:{purchase.sku}"
        while time.monotonic() < give_up_s:
            state = await self._looks.run(name, look)
            avail = state.avail
            if avail is None or avail >= purchase.quantity or avail + state.held < purchase.quantity:
                return

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
        believed = self.resources.redis.available
        try:
            result = await self.resources.ledger.commit(purchase)
        except BaseException:
            tended.owe()
            raise
        sells = isinstance(result, Sold) and not result.replayed
        unknown = isinstance(result, Unavailable) and not result.no_effect
        if unknown or (sells and not believed):
            tended.owe()
        elif isinstance(result, Sold | SoldOut) and believed:
            await self._aftermath.see_to(self._mark(tended))
        return result

    # Whatever comes of telling Redis, the answer to the buyer stands; what it was not told is owed.

    async def _tell(self, tended: Tended, token: str, *, settle: Purchase | None, mark: bool) -> None:
        try:
            if settle is not None:
                await tended.counter.settle(settle, token)
            else:
                await tended.counter.give_back(token, mark=mark)
        except RedisAwayError:
            tended.owe()

    async def _doubt(self, tended: Tended, token: str) -> None:
        try:
            await tended.counter.doubt(token)
        except RedisAwayError:
            tended.owe()

    async def _mark(self, tended: Tended) -> None:
        try:
            await tended.counter.mark()
        except RedisAwayError:
            tended.owe()
