"""Broken on purpose: the key is looked up before the lock, and not again behind it."""

from __future__ import annotations

from uuid import uuid4

import asyncpg

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, remaining, seq, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true)"""


class KeyBeforeLock(Strategy):
    """A constraint keeps twins from buying twice; nothing keeps them from being refused."""

    name = "key_before_lock"
    summary = "looks the key up, then locks the stock row"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, key = purchase.sale.sale_id, purchase.key
        async with self.resources.database.connection() as connection:
            order = await connection.fetchrow(FIND, sale_id, key)
            if order is None:
                try:
                    async with connection.transaction():
                        return await self._sell(connection, purchase)
                except asyncpg.UniqueViolationError:
                    order = await connection.fetchrow(FIND, sale_id, key)
        return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)

    async def _sell(self, connection: asyncpg.Connection, purchase: Purchase) -> Result:
        sale_id, sku, quantity, order_id = purchase.sale.sale_id, purchase.sku, purchase.quantity, uuid4()
        if await connection.fetchval(LOCK, sale_id, sku) < quantity:
            return SoldOut()
        left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity) or (None, None)
        await connection.execute(INSERT, order_id, sale_id, sku, quantity, purchase.user_id, purchase.key, left, seq)
        return Sold(order_id, left, seq)
