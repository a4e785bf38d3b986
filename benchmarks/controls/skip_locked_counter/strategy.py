"""Broken on purpose: a locked row is taken for no row."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

TAKE = """
    SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 FOR UPDATE SKIP LOCKED"""
WRITE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""


class SkipLockedCounter(Strategy):
    """Whoever comes while another is buying is refused."""

    name = "skip_locked_counter"
    summary = "FOR UPDATE SKIP LOCKED on the stock row; no row means sold out"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            if await connection.fetchval(TAKE, sale_id, sku, quantity) is None:
                return SoldOut()
            left, seq = await connection.fetchrow(WRITE, sale_id, sku, quantity)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
