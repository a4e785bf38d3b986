"""Broken on purpose: the update is conditional, the order is not."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2 AND remaining >= $3"


class RowcountIgnored(Strategy):
    """An update of no row is not an error, and here not even a refusal."""

    name = "rowcount_ignored"
    summary = "decrements where stock suffices, and sells whether or not anything was decremented"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection:
            if await connection.fetchval(CHECK, sale_id, sku) < quantity:
                return SoldOut()
            async with connection.transaction():
                await connection.execute(DECREMENT, sale_id, sku, quantity)
                order_id = await self.resources.ledger.record(connection, purchase)
        return Sold(order_id, None, None)
