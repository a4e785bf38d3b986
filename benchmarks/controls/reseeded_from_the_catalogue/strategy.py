"""Broken on purpose: a counter that was lost begins again from the beginning."""

from __future__ import annotations

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

KEY = "reseeded_from_the_catalogue:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
TAKE = """
local count = tonumber(redis.call('GET', KEYS[1]))
if not count then  -- the mistake: what was sold before is forgotten
    count = tonumber(ARGV[2])
    redis.call('SET', KEYS[1], count, 'EX', 86400)
end
if count < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1
"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""


class ReseededFromTheCatalogue(Strategy):
    """The first buyer of a sale seeds the counter, in one atomic script; so does the first one after a flush."""

    name = "reseeded_from_the_catalogue"
    summary = "a script takes units, and seeds a counter that is not there with the sale's initial stock"
    counter = CounterKey(KEY)
    declared_keys = ("reseeded_from_the_catalogue:*",)

    async def buy(self, purchase: Purchase) -> Result:
        found = await self.resources.ledger.find(purchase.sale, purchase.key)
        if found is not None:
            return found[1]
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        stock = purchase.sale.items[purchase.sku].stock
        try:
            taken = await self.resources.redis.call(lambda redis: redis.eval(TAKE, 1, key, purchase.quantity, stock))
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=not error.maybe_executed)
        return await self._book(purchase) if taken else SoldOut()

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        return {sku: await self._counted(KEY.format(sale_id=sale.sale_id, sku=sku)) for sku in sale.items}

    async def _counted(self, key: str) -> Counter:
        count = await self.resources.redis.call(lambda redis: redis.get(key))
        return Counter(None if count is None else int(count))

    async def _book(self, purchase: Purchase) -> Sold:
        sale_id, order_id = purchase.sale.sale_id, uuid4()
        order = (order_id, sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, sale_id, purchase.sku, purchase.quantity)
            await connection.execute(INSERT, *order)
        return Sold(order_id, None, None)
