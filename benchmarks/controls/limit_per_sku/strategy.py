"""Broken on purpose: a rule for the whole sale is kept per product."""

from __future__ import annotations

from target_app.strategies.protocol import Limited, Purchase, Result, Sold, SoldOut, Strategy

BOUGHT = """
    SELECT coalesce(sum(quantity), 0) FROM orders WHERE sale_id = $1 AND user_id = $2 AND sku = $3"""
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""

LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"


class LimitPerSku(Strategy):
    """The lock is right, the question is wrong."""

    name = "limit_per_sku"
    summary = "counts the user's orders of the product, under its lock"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.fetchval(LOCK, sale_id, sku)
            bought = await connection.fetchval(BOUGHT, sale_id, purchase.user_id, sku)
            if bought + quantity > purchase.sale.per_user_limit:
                return Limited()
            row = await connection.fetchrow(TAKE, sale_id, sku, quantity)
            if row is None:
                return SoldOut()
            left, seq = row
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
