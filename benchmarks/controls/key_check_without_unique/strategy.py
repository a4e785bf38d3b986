"""Broken on purpose: a look-up where a constraint is needed."""

from __future__ import annotations

import asyncio

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND remaining >= $3 RETURNING remaining, seq"""
PAUSE_S = 0.005


class KeyCheckWithoutUnique(Strategy):
    """Twins do not see each other."""

    name = "key_check_without_unique"
    summary = "looks the key up, then sells"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id = purchase.sale.sale_id
        async with self.resources.database.connection() as connection:
            order = await connection.fetchrow(FIND, sale_id, purchase.key)
            if order is not None:
                return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
            await asyncio.sleep(PAUSE_S)
            async with connection.transaction():
                row = await connection.fetchrow(TAKE, sale_id, purchase.sku, purchase.quantity)
                if row is None:
                    return SoldOut()
                left, seq = row
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
