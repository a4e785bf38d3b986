"""Broken on purpose: the buyer has his answer before the disk has his order."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""


class AcknowledgedBeforeTheFlush(Strategy):
    """Several times faster than a commit that waits for the disk, and right until the server crashes."""

    name = "acknowledged_before_the_flush"
    summary = "a row lock, the key, the sale; COMMIT does not wait for the disk"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit TO off")  # the mistake
            left = await connection.fetchval(LOCK, sale_id, sku)
            order = await connection.fetchrow(FIND, sale_id, purchase.key)
            if order is not None:
                return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
            if left < quantity:
                return SoldOut()
            left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity)
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
