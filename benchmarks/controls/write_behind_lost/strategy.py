"""Broken on purpose: the answer comes before the order, which dies with its worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID, uuid4

from target_app.strategies.protocol import (
    Counter,
    CounterKey,
    Purchase,
    RedisAwayError,
    Resources,
    Result,
    Sale,
    Sold,
    SoldOut,
    Strategy,
    Unavailable,
)

KEY = "write_behind_lost:{sale_id}:{sku}"
DECREMENT = "UPDATE stock SET remaining = remaining - $3 WHERE sale_id = $1 AND sku = $2"
TAKE = """
local order = redis.call('GET', KEYS[2])
if order then return order end
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count < tonumber(ARGV[1]) then return '' end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', 86400)
return ARGV[2]
"""
INSERT = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, guarded)
    VALUES ($1, $2, $3, $4, $5, $6, true)"""
EVERY_S = 0.5


class WriteBehindLost(Strategy):
    """The script takes the units and gives the key its order; a batch of orders is written twice a second."""

    name = "write_behind_lost"
    summary = "a script decides and remembers the key; orders are written in batches, after the answer"
    counter = CounterKey(KEY)
    declared_keys = ("write_behind_lost:*",)

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._waiting: list[tuple[UUID, Purchase]] = []
        self._writer: asyncio.Task[None] | None = None

    async def open(self, sale: Sale) -> None:
        for item in sale.items.values():
            await self._seed(KEY.format(sale_id=sale.sale_id, sku=item.sku), item.stock)

    async def _seed(self, key: str, stock: int) -> None:
        await self.resources.redis.call(lambda redis: redis.set(key, stock, ex=86400))

    async def buy(self, purchase: Purchase) -> Result:
        counter = KEY.format(sale_id=purchase.sale.sale_id, sku=purchase.sku)
        key, quantity, order_id = f"{counter}:{purchase.key}", purchase.quantity, uuid4()
        try:
            answer = await self.resources.redis.call(
                lambda redis: redis.eval(TAKE, 2, counter, key, quantity, order_id.hex)
            )
        except RedisAwayError as error:
            return Unavailable(str(error), no_effect=not error.maybe_executed)
        if not answer:
            return SoldOut()
        if UUID(answer.decode()) != order_id:
            return Sold(UUID(answer.decode()), None, None, replayed=True)
        self._waiting.append((order_id, purchase))  # the mistake: for now it is nowhere else
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return Sold(order_id, None, None)

    async def stock(self, sale: Sale) -> Mapping[str, Counter]:
        return {sku: await self._counted(KEY.format(sale_id=sale.sale_id, sku=sku)) for sku in sale.items}

    async def _counted(self, key: str) -> Counter:
        count = await self.resources.redis.call(lambda redis: redis.get(key))
        return Counter(None if count is None else int(count))

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
        await self._book()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self._book()

    async def _book(self) -> None:
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        async with self.resources.database.connection() as connection, connection.transaction():
            for order_id, purchase in batch:
                sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
                await connection.execute(DECREMENT, sale_id, sku, quantity)
                await connection.execute(INSERT, order_id, sale_id, sku, quantity, purchase.user_id, purchase.key)
