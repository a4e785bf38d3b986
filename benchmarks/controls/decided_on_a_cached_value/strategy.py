"""Broken on purpose: the cache that shoppers read is asked whether there is enough."""

from __future__ import annotations

import time

from target_app.strategies.protocol import Purchase, Resources, Result, Sold, SoldOut, Strategy

CHECK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2 RETURNING remaining"
TTL_S = 0.05


class DecidedOnACachedValue(Strategy):
    """Fifty milliseconds are a long time in a flash sale."""

    name = "decided_on_a_cached_value"
    summary = "checks a stock cached for 50 ms, then decrements the true one"

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._cached: dict[tuple[object, str], tuple[float, int]] = {}

    async def buy(self, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        async with self.resources.database.connection() as connection:
            until_s, remaining = self._cached.get((sale_id, sku), (0.0, 0))
            if until_s < time.monotonic():
                remaining = await connection.fetchval(CHECK, sale_id, sku)
                self._cached[sale_id, sku] = (time.monotonic() + TTL_S, remaining)
            if remaining < quantity:
                return SoldOut()
            async with connection.transaction():
                left = await connection.fetchval(DECREMENT, sale_id, sku, quantity)
                order_id = await self.resources.ledger.record(connection, purchase, remaining=left)
        return Sold(order_id, left, None)
