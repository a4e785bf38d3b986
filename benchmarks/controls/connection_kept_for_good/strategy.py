"""Broken on purpose: a connection that broke is used again and again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from target_app.strategies.protocol import Purchase, Resources, Result, Sale, Sold, SoldOut, Strategy

LOCK = "SELECT remaining FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
FIND = "SELECT order_id, remaining, seq FROM orders WHERE sale_id = $1 AND key = $2"
TAKE = """
    UPDATE stock SET remaining = remaining - $3, seq = seq + 1
    WHERE sale_id = $1 AND sku = $2 RETURNING remaining, seq"""


class ConnectionKeptForGood(Strategy):
    """It spares the way to the pool, and the pool's way of finding out that a connection is broken."""

    name = "connection_kept_for_good"
    summary = "a row lock, the key, the sale, one purchase at a time on a connection that the worker keeps"

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._turn = asyncio.Lock()
        self._kept = AsyncExitStack()
        self._connection: Any = None
        self._sale_id: UUID | None = None

    async def buy(self, purchase: Purchase) -> Result:
        async with self._turn:
            connection = await self._connected(purchase.sale)
            async with connection.transaction():
                return await self._sell(connection, purchase)

    async def close(self) -> None:
        await self._kept.aclose()

    async def _connected(self, sale: Sale) -> Any:
        if self._sale_id != sale.sale_id:  # the mistake: nor does anybody ask whether it still works
            await self._kept.aclose()
            self._connection = await self._kept.enter_async_context(self.resources.database.connection())
            self._sale_id = sale.sale_id
        return self._connection

    async def _sell(self, connection: Any, purchase: Purchase) -> Result:
        sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
        left = await connection.fetchval(LOCK, sale_id, sku)
        order = await connection.fetchrow(FIND, sale_id, purchase.key)
        if order is not None:
            return Sold(order["order_id"], order["remaining"], order["seq"], replayed=True)
        if left < quantity:
            return SoldOut()
        left, seq = await connection.fetchrow(TAKE, sale_id, sku, quantity)
        order_id = await self.resources.ledger.record(connection, purchase, remaining=left, seq=seq)
        return Sold(order_id, left, seq)
