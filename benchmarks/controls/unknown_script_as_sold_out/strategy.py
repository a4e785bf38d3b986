"""Broken on purpose: NOSCRIPT is an error too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from uuid import uuid4

from redis.exceptions import ResponseError

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

KEY = "unknown_script_as_sold_out:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
TAKE = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count < tonumber(ARGV[1]) then return redis.error_reply('SOLDOUT too few are left') end
return redis.call('DECRBY', KEYS[1], ARGV[1])
"""
DIGEST = hashlib.sha1(TAKE.encode()).hexdigest()
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""


class UnknownScriptAsSoldOut(Strategy):
    """The script is loaded when a sale opens, and called by its digest."""

    name = "unknown_script_as_sold_out"
    summary = "EVALSHA of a script that was loaded once; an error reply means sold out"
    counter = CounterKey(KEY)
    declared_keys = ("unknown_script_as_sold_out:*",)

    async def open(self, sale: Sale) -> None:
        await self.resources.redis.call(lambda redis: redis.script_load(TAKE))
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        found = await self.resources.ledger.find(purchase.sale, purchase.key)
        if found is not None:
            return found[1]
        key = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        try:
            await self.resources.redis.call(lambda redis: redis.evalsha(DIGEST, 1, key, purchase.quantity))
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=not error.maybe_executed)
        except ResponseError:  # the mistake: which error it was
            return SoldOut()
        return await self._book(purchase)

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
