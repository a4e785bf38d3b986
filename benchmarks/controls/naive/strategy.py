"""Broken on purpose: read, compare, write, insert, each a statement of its own."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy


class Naive(Strategy):
    """Between its read and its write anyone else may have read the same stock: a lost update, and an oversell."""

    name = "naive"
    summary = "check-then-act in SQL under READ COMMITTED: read, compare, write what was read less what was bought"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id = purchase.sale.sale_id
        async with self.resources.database.connection() as connection:
            remaining = await connection.fetchval(
                "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2", sale_id, purchase.sku
            )
            if remaining < purchase.quantity:
                return SoldOut()
            left = remaining - purchase.quantity
            await connection.execute(
                "UPDATE stock SET remaining = $3 WHERE sale_id = $1 AND sku = $2", sale_id, purchase.sku, left
            )
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)
