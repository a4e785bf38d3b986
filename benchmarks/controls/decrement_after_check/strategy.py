"""Broken on purpose: the check and the decrement are two statements."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2 RETURNING remaining"


class DecrementAfterCheck(Strategy):
    """Between the check and the decrement anyone may buy what was checked."""

    name = "decrement_after_check"
    summary = "checks the stock, then decrements it whatever it has become"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection:
            if await connection.fetchval(CHECK, sale_id, sku) < quantity:
                return SoldOut()
            async with connection.transaction():
                left = await connection.fetchval(DECREMENT, sale_id, sku, quantity)
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)
