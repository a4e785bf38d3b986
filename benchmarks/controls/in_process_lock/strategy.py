"""Broken on purpose: a lock that only its own process sees."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from target_app.strategies.protocol import Purchase, Resources, Result, Sold, SoldOut, Strategy

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
WRITE = "UPDATE stock SET remaining = $3 WHERE sale_id = $1 AND sku = $2"


class InProcessLock(Strategy):
    """Right with one worker."""

    name = "in_process_lock"
    summary = "check and write under an asyncio.Lock per product"

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._locks: defaultdict[tuple[object, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku = purchase.sale.sale_id, purchase.sku
        async with self._locks[sale_id, sku], self.resources.database.connection() as connection:
            left = await connection.fetchval(CHECK, sale_id, sku) - purchase.quantity
            if left < 0:
                return SoldOut()
            async with connection.transaction():
                await connection.execute(WRITE, sale_id, sku, left)
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)
