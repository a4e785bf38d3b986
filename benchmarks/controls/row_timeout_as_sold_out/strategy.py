"""Broken on purpose: who could not ask is told that there is nothing left."""

from __future__ import annotations

import asyncpg

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""


class RowTimeoutAsSoldOut(Strategy):
    """With a second to wait for the row, no load of honest buyers ever gets there."""

    name = "row_timeout_as_sold_out"
    summary = "a row lock, the key, the sale; answers sold out if the row can't be locked in time"

    async def buy(self, purchase: Purchase) -> Result:
        try:
            return await self._sell(purchase)
        except asyncpg.LockNotAvailableError:  # the mistake
            return SoldOut()

    async def _sell(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            left = await connection.fetchval(LOCK, sale_id, sku)
            order = await connection.fetchrow(FIND, sale_id, purchase.key)
            if order is not None:
                return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
            if left < quantity:
                return SoldOut()
            left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
