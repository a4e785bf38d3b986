"""Broken on purpose: a version conflict is answered as sold out."""

from __future__ import annotations

from target_app.strategies.protocol import Purchase, Result, Sold, SoldOut, Strategy

READ = "SELECT remaining, seq FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 AND seq = $4 RETURNING remaining, seq"""


class VersionConflictAsSoldOut(Strategy):
    """Whoever loses the race for a version is refused."""

    name = "version_conflict_as_sold_out"
    summary = "optimistic locking by version, without the retry that it needs"

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection:
            row = await connection.fetchrow(READ, sale_id, sku)
            if row["remaining"] < quantity:
                return SoldOut()
            async with connection.transaction():
                written = await connection.fetchrow(WRITE, sale_id, sku, quantity, row["seq"])
                if written is None:
                    return SoldOut()  # the mistake: it only says that somebody else wrote
                left, seq = written
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
