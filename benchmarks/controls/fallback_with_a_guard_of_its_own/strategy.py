"""Broken on purpose: two guards, of which each is right about what it has sold itself."""

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
)

KEY = "fallback_with_a_guard_of_its_own:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2 RETURNING remaining"
DECREMENT_IF_LEFT = """
    UPDATE stock SET remaining = remaining - $3
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining"""
TAKE = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1
"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""


class FallbackWithAGuardOfItsOwn(Strategy):
    """With Redis, Postgres does as it is told; without it, Postgres decides."""

    name = "fallback_with_a_guard_of_its_own"
    summary = "a script takes units, the row follows; without Redis, a conditional update of the row alone"
    counter = CounterKey(KEY)
    declared_keys = ("fallback_with_a_guard_of_its_own:*",)

    async def open(self, sale: Sale) -> None:
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
            taken = await self.resources.redis.call(lambda redis: redis.eval(TAKE, 1, key, purchase.quantity))
        except RedisAwayError:
            return await self._book(purchase, DECREMENT_IF_LEFT)  # the mistake: the counter will not know
        return await self._book(purchase, DECREMENT) if taken else SoldOut()

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        return {sku: await self._counted(KEY.format(sale_id=sale.sale_id, sku=sku)) for sku in sale.items}

    async def _counted(self, key: str) -> Counter:
        count = await self.resources.redis.call(lambda redis: redis.get(key))
        return Counter(None if count is None else int(count))

    async def _book(self, purchase: Purchase, decrement: str) -> Result:
        sale_id, order_id = purchase.sale.sale_id, uuid4()
        order = (order_id, sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection, connection.transaction():
            if await connection.fetchval(decrement, sale_id, purchase.sku, purchase.quantity) is None:
                return SoldOut()
            await connection.execute(INSERT, *order)
        return Sold(order_id, None, None)
