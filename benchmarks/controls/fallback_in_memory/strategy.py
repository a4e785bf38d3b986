"""Broken on purpose: without the counter that all share, each worker has one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from target_app.strategies.protocol import (
    Counter,
    CounterKey,
    Purchase,
    RedisAwayError,
    Resources,
    Result,
    Sale,
    Sold,
    SoldOut,
    Strategy,
)

KEY = "fallback_in_memory:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
TAKE = """
local count = tonumber(redis.call('GET', KEYS[1]))
if not count then return -1 end
if count < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1
"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""
LOST = -1


class FallbackInMemory(Strategy):
    """An outage of a second or two will hardly matter."""

    name = "fallback_in_memory"
    summary = "a script takes units; without Redis, each worker takes them from a counter in its memory"
    counter = CounterKey(KEY)
    declared_keys = ("fallback_in_memory:*",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._own: dict[str, int] = {}

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
            if taken == LOST:
                await self._reseed(key, purchase)
                taken = await self.resources.redis.call(lambda redis: redis.eval(TAKE, 1, key, purchase.quantity))
        except RedisAwayError:
            taken = self._take_own(key, purchase)
        return await self._book(purchase) if taken > 0 else SoldOut()

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        return {sku: await self._counted(KEY.format(sale_id=sale.sale_id, sku=sku)) for sku in sale.items}

    async def _counted(self, key: str) -> Counter:
        count = await self.resources.redis.call(lambda redis: redis.get(key))
        return Counter(None if count is None else int(count))

    async def _reseed(self, key: str, purchase: Purchase) -> None:
        """Redis has come back empty: what remains is what the database says."""
        (row,) = await self.resources.ledger.stock_rows(purchase.sale, [purchase.sku])
        await self.resources.redis.call(lambda redis: redis.set(key, row.remaining, nx=True, ex=86400))

    def _take_own(self, key: str, purchase: Purchase) -> int:
        """1 if this worker's own counter had the units, which it then has no longer."""
        left = self._own.get(key, purchase.sale.items[purchase.sku].stock)  # the mistake
        if left < purchase.quantity:
            return 0
        self._own[key] = left - purchase.quantity
        return 1

    async def _book(self, purchase: Purchase) -> Sold:
        sale_id, order_id = purchase.sale.sale_id, uuid4()
        order = (order_id, sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, sale_id, purchase.sku, purchase.quantity)
            await connection.execute(INSERT, *order)
        return Sold(order_id, None, None)
