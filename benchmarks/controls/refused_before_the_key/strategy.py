"""Broken on purpose: who comes again for his answer is told that there is nothing left."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""


class RefusedBeforeTheKey(Strategy):
    """The cheapest question first."""

    name = "refused_before_the_key"
    summary = "a row lock, the stock, then the key, then the sale"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            if await connection.fetchval(LOCK, sale_id, sku) < quantity:
                return SoldOut()  # the mistake: it may be this very buyer who has what was left
            order = await connection.fetchrow(FIND, sale_id, purchase.key)
            if order is not None:
                return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
            left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
