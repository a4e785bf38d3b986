"""Broken on purpose: the unit is taken, the order is not there."""

from __future__ import annotations

from uuid import uuid4

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

TAKE = """
    UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2 AND remaining >= $3
    RETURNING remaining"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded) VALUES ($1, $2, $3, $4, $5, $6, true)
    ON CONFLICT DO NOTHING"""
FIND = "SELECT order_id FROM orders WHERE sale_id = $1 AND key = $2"


class ConflictAfterDecrement(Strategy):
    """The order is idempotent, the decrement is not."""

    name = "conflict_after_decrement"
    summary = "decrement, then INSERT … ON CONFLICT DO NOTHING"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            if await connection.fetchval(TAKE, sale_id, sku, quantity) is None:
                order_id = await connection.fetchval(FIND, sale_id, purchase.key)
                return Sold(order_id, None, None, replayed=True) if order_id else SoldOut()
            await connection.execute(INSERT, uuid4(), sale_id, sku, quantity, purchase.user_id, purchase.key)
            order_id = await connection.fetchval(FIND, sale_id, purchase.key)
        return Sold(order_id, None, None)
