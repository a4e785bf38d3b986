"""Broken on purpose: atomic, and not idempotent."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""


class NoIdempotency(Strategy):
    """A retry buys again."""

    name = "no_idempotency"
    summary = "one conditional update; the key is not looked at"

    async def buy(self, purchase: Purchase) -> Result:
        async with self.resources.database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(TAKE, purchase.sale.sale_id, purchase.sku, purchase.quantity)
            if row is None:
                return SoldOut()
            left, seq = row
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
