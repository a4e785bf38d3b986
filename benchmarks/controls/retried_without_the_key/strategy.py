"""Broken on purpose: a broken connection is taken for a transaction that was not committed."""

from __future__ import annotations

from typing import Any

import asyncpg

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

LOCK = "SELECT FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""
BROKEN = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)


class RetriedWithoutTheKey(Strategy):
    """The key is looked up under the row's lock, as it must be: once."""

    name = "retried_without_the_key"
    summary = "a row lock, the key, the sale; if the connection breaks, the sale once more on another one"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id = purchase.sale.sale_id
        try:
            async with self.resources.database.connection() as connection, connection.transaction():
                await connection.execute(LOCK, sale_id, purchase.sku)
                order = await connection.fetchrow(FIND, sale_id, purchase.key)
                if order is not None:
                    return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
                return await self._sell(connection, purchase)
        except BROKEN:
            async with self.resources.database.connection() as connection, connection.transaction():
                return await self._sell(connection, purchase)  # the mistake: by now the key may have an order

    async def _sell(self, connection: Any, purchase: Purchase) -> Result:
        row = await connection.fetchrow(TAKE, purchase.sale.sale_id, purchase.sku, purchase.quantity)
        if row is None:
            return SoldOut()
        left, seq = row
        order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
