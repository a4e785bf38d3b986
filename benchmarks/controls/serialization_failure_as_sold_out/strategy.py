"""Broken on purpose: a serialization failure is answered as sold out."""

from __future__ import annotations

import asyncpg

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = """
    UPDATE stock SET remaining = $3, seq = seq + 1 WHERE sale_id = $1 AND sku = $2 RETURNING seq"""


class SerializationFailureAsSoldOut(Strategy):
    """Whoever Postgres asks to try again is refused."""

    name = "serialization_failure_as_sold_out"
    summary = "SERIALIZABLE, without the retry that it needs"

    async def buy(self, purchase: Purchase) -> Result:
        async with self.resources.database.connection() as connection:
            try:
                async with connection.transaction(isolation="serializable"):
                    return await self._sell(connection, purchase)
            except asyncpg.SerializationError:
                return SoldOut()  # the mistake: it says that the transaction should be run again

    async def _sell(self, connection: asyncpg.Connection, purchase: Purchase) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
        if left < 0:
            return SoldOut()
        seq = await connection.fetchval(WRITE, sale_id, sku, left)
        order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
