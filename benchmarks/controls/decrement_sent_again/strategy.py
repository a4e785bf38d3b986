"""Broken on purpose: a command without an answer is taken for a command that was not executed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from uuid import uuid4

from target_app.strategies.protocol import (
    Counter,
    CounterKey,
    Purchase,
    RedisAwayError,
    Result,
    Sale,
    Sold,
    SoldOut,
    Strategy,
    Unavailable,
)

KEY = "decrement_sent_again:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
MARK = "decrement_sent_again:{sale_id}:taken:{number}"  # that the command of this number has taken its units
TAKE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], 1, 'EX', 600)
return 1
"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""
TRIES = 3


class DecrementSentAgain(Strategy):
    """Patient with Redis, as client libraries are by default."""

    name = "decrement_sent_again"
    summary = "a script takes units; if Redis does not answer it is called again, up to three times"
    counter = CounterKey(KEY)
    declared_keys = ("decrement_sent_again:*",)

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        found = await self.resources.ledger.find(purchase.sale, purchase.key)
        if found is not None:
            return found[1]
        try:
            taken = await self._take(purchase)
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=not error.maybe_executed)
        return await self._book(purchase) if taken else SoldOut()

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        return {sku: await self._counted(KEY.format(sale_id=sale.sale_id, sku=sku)) for sku in sale.items}

    async def _counted(self, key: str) -> Counter:
        count = await self.resources.redis.call(lambda redis: redis.get(key))
        return Counter(None if count is None else int(count))

    async def _take(self, purchase: Purchase) -> int:
        for _ in range(TRIES - 1):
            with contextlib.suppress(RedisAwayError):
                return await self._taken(purchase)
        return await self._taken(purchase)

    async def _taken(self, purchase: Purchase) -> int:
        sale_id, number = purchase.sale.sale_id, uuid4().hex  # the mistake: not the purchase's own key
        keys = KEY.format(sale_id=sale_id, sku=purchase.sku), MARK.format(sale_id=sale_id, number=number)
        return await self.resources.redis.call(lambda redis: redis.eval(TAKE, 2, *keys, purchase.quantity))

    async def _book(self, purchase: Purchase) -> Sold:
        sale_id, order_id = purchase.sale.sale_id, uuid4()
        order = (order_id, sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, sale_id, purchase.sku, purchase.quantity)
            await connection.execute(INSERT, *order)
        return Sold(order_id, None, None)
