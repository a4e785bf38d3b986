"""Broken on purpose: a large quantity becomes a negative one, and a negative one is accepted."""

from __future__ import annotations

from ctypes import c_int8

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""


class NegativeQuantity(Strategy):
    """The check and the update are one statement; what they are given is wrong."""

    name = "negative_quantity"
    summary = "one conditional update, of a quantity that was kept in a signed byte"

    async def buy(self, purchase: Purchase) -> Result:
        quantity = c_int8(purchase.quantity).value  # 128 becomes -128
        async with self.resources.database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(TAKE, purchase.sale.sale_id, purchase.sku, quantity)
            if row is None:
                return SoldOut()
            left, seq = row
            order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
