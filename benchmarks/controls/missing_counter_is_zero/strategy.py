"""Broken on purpose: a counter that is gone counts as zero."""

from __future__ import annotations

from target_app.strategies.protocol import CounterKey, Purchase, Result, Sold, SoldOut, Strategy

KEY = "missing_counter_is_zero:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
TTL_MS = 100
TAKE = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1
"""


class MissingCounterIsZero(Strategy):
    """The TTL is shorter than the sale."""

    name = "missing_counter_is_zero"
    summary = "a counter with a TTL of 100 ms; missing means sold out"
    counter = CounterKey(KEY)
    declared_keys = ("missing_counter_is_zero:*",)

    async def buy(self, purchase: Purchase) -> Result:
        key, quantity = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku), purchase.quantity
        if await self.resources.redis.call(lambda redis: redis.set(f"{key}:opened", 1, nx=True, ex=86400)):
            stock = purchase.sale.items[purchase.sku].stock
            await self.resources.redis.call(lambda redis: redis.set(key, stock, px=TTL_MS))
        taken = await self.resources.redis.call(lambda redis: redis.eval(TAKE, 1, key, quantity))
        return await self._book(purchase) if taken else SoldOut()

    async def _book(self, purchase: Purchase) -> Sold:
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute(DECREMENT, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
