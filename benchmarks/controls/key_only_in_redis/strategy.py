"""Broken on purpose: a Redis that forgets lets a key buy again."""

from __future__ import annotations

from uuid import UUID, uuid4

from target_app.strategies.protocol import Purchase, RedisAwayError, Result, Sold, SoldOut, Strategy, Unavailable

KEY = "key_only_in_redis:{sale_id}:{key}"
ORDER_OF_KEY = """
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', 86400)
return redis.call('GET', KEYS[1])
"""
LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT remaining, seq FROM orders WHERE order_id = $1"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, remaining, seq)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""


class KeyOnlyInRedis(Strategy):
    """A key is given the number of its order before that is made, so a retry finds the order if it was made."""

    name = "key_only_in_redis"
    summary = "Redis gives each key an order number; a row lock, the order of that number, the sale"
    declared_keys = ("key_only_in_redis:*",)

    async def buy(self, purchase: Purchase) -> Result:
        name, fresh = KEY.format(sale_id=purchase.sale.sale_id, key=purchase.key), uuid4().hex
        try:
            number = await self.resources.redis.call(lambda redis: redis.eval(ORDER_OF_KEY, 1, name, fresh))
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=True)
        return await self._sell(purchase, UUID(number.decode()))

    async def _sell(self, purchase: Purchase, order_id: UUID) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            left = await connection.fetchval(LOCK, sale_id, sku)
            order = await connection.fetchrow(FIND, order_id)  # the mistake: by number, and the key is not unique
            if order is not None:
                return Sold(order_id, order["remaining"], order["seq"], replayed=True)
            if left < quantity:
                return SoldOut()
            left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity)
            asked = (sale_id, sku, quantity, purchase.user_id, purchase.key)
            await connection.execute(INSERT, order_id, *asked, left, seq)
        return Sold(order_id, left, seq)
