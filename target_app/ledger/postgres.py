"""The ledger that strategies and routes use: sales, the guarded transaction, and reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from target_app.ledger.database import AWAY, BUSY, PostgresPool
from target_app.ledger.guarded import replay, sell
from target_app.ledger.lookups import KeyLookups
from target_app.settings import Settings
from target_app.strategies.protocol import (
    DatabaseAwayError,
    Fenced,
    Item,
    Purchase,
    Reach,
    Result,
    Sale,
    Sold,
    StockRow,
    unarmed,
)

if TYPE_CHECKING:
    from target_app.ledger.database import Connection

STOCK = """
    SELECT sku, initial, remaining, seq, fence FROM stock
    WHERE sale_id = $1 AND ($2::text[] IS NULL OR sku = ANY ($2)) ORDER BY position"""
STOCK_WITH_SOLD = """
    SELECT s.sku, s.initial, s.remaining, coalesce(sum(o.quantity), 0)::bigint AS sold
    FROM stock s LEFT JOIN orders o USING (sale_id, sku)
    WHERE s.sale_id = $1 GROUP BY s.sku, s.initial, s.remaining, s.position ORDER BY s.position"""
RECORD = """
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, remaining, seq, fence)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
ORDERS = """
    SELECT order_id, sku, quantity, user_id, key, remaining, seq, fence, created_at
    FROM orders WHERE sale_id = $1 ORDER BY created_at"""


@dataclass(frozen=True, slots=True)
class Product:
    """What a shopper sees of a SKU. ``version`` grows with every sale."""

    sku: str
    price: int
    remaining: int
    version: int


@dataclass(frozen=True, slots=True)
class Order:
    """A row of the ledger."""

    order_id: UUID
    sku: str
    quantity: int
    user_id: str
    key: str
    remaining: int | None
    seq: int | None
    fence: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StockLevel:
    """A SKU's stock and what the orders add up to, read in one statement."""

    sku: str
    initial: int
    remaining: int
    sold: int


class PostgresLedger:
    """One worker's way to the durable record. Reads raise DatabaseAwayError when Postgres does not answer.

    ``product_reads`` counts those that have come to Postgres.
    """

    def __init__(self, database: PostgresPool, settings: Settings, reach: Reach = unarmed) -> None:
        self._database = database
        self._transaction_limit_s = settings.transaction_timeout_s
        self._purchase_limit_s = settings.purchase_limit_s
        self._reach = reach
        self._lookups = KeyLookups(database, settings.lookup_timeout_s)
        self._sales: dict[UUID, Sale] = {}
        self.product_reads = 0

    async def commit(self, purchase: Purchase) -> Result:
        result = await self._sell(purchase, None)
        assert not isinstance(result, Fenced)
        return result

    async def commit_fenced(self, purchase: Purchase, fence: int) -> Result | Fenced:
        return await self._sell(purchase, fence)

    async def _sell(self, purchase: Purchase, fence: int | None) -> Result | Fenced:
        return await sell(
            self._database,
            purchase,
            fence,
            limit_s=self._transaction_limit_s,
            due_s=purchase.came_s + self._purchase_limit_s,
            reach=self._reach,
        )

    async def record(
        self,
        connection: Connection,
        purchase: Purchase,
        *,
        remaining: int | None = None,
        seq: int | None = None,
        fence: int | None = None,
    ) -> UUID:
        order_id = uuid4()
        asked = (purchase.sale.sale_id, purchase.sku, purchase.quantity, purchase.user_id, purchase.key)
        await connection.execute(RECORD, order_id, *asked, remaining, seq, fence)
        return order_id

    async def find(self, sale: Sale, key: str) -> tuple[Purchase, Sold] | None:
        order = await self._lookups.find(sale.sale_id, key)
        if order is None:
            return None
        made = Purchase(sale, order["sku"], order["quantity"], order["user_id"], key)
        return made, replay(order, made)

    async def create_sale(self, strategy: str, items: Sequence[Item], per_user_limit: int) -> Sale:
        """A new sale with its stock rows, in one transaction."""
        sale = Sale(uuid4(), strategy, {item.sku: item for item in items}, per_user_limit)
        rows = [
            (sale.sale_id, item.sku, position, item.stock, item.price, item.stock)
            for position, item in enumerate(items)
        ]
        async with self._reading() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO sales (sale_id, strategy, per_user_limit) VALUES ($1, $2, $3)",
                sale.sale_id,
                strategy,
                per_user_limit,
            )
            await connection.executemany(
                "INSERT INTO stock (sale_id, sku, position, initial, price, remaining) VALUES ($1, $2, $3, $4, $5, $6)",
                rows,
            )
        self._sales[sale.sale_id] = sale
        return sale

    async def sale(self, sale_id: UUID) -> Sale | None:
        """A sale's definition; it never changes, so a worker asks Postgres once."""
        if sale_id not in self._sales:
            found = await self._read_sale(sale_id)
            if found is None:
                return None
            self._sales[sale_id] = found
        return self._sales[sale_id]

    def known_sale(self, sale_id: UUID) -> Sale | None:
        """A sale that this worker has read or made before."""
        return self._sales.get(sale_id)

    async def _read_sale(self, sale_id: UUID) -> Sale | None:
        async with self._reading() as connection:
            row = await connection.fetchrow("SELECT strategy, per_user_limit FROM sales WHERE sale_id = $1", sale_id)
            if row is None:
                return None
            items = await connection.fetch(
                "SELECT sku, initial, price FROM stock WHERE sale_id = $1 ORDER BY position", sale_id
            )
        catalogue = {item["sku"]: Item(item["sku"], item["initial"], item["price"]) for item in items}
        return Sale(sale_id, row["strategy"], catalogue, row["per_user_limit"])

    async def product(self, sale_id: UUID, sku: str) -> Product | None:
        """A fresh product, None if there is no such SKU."""
        async with self._reading() as connection:
            self.product_reads += 1
            row = await connection.fetchrow(
                "SELECT sku, price, remaining, seq FROM stock WHERE sale_id = $1 AND sku = $2", sale_id, sku
            )
        return Product(row["sku"], row["price"], row["remaining"], row["seq"]) if row else None

    async def stock_rows(self, sale: Sale, skus: Sequence[str] | None = None) -> list[StockRow]:
        async with self._reading() as connection:
            rows = await connection.fetch(STOCK, sale.sale_id, None if skus is None else list(skus))
        return [StockRow(**row) for row in rows]

    async def stock_levels(self, sale: Sale) -> list[StockLevel]:
        """Every SKU with the sum of its orders, as of one moment."""
        async with self._reading() as connection:
            return [StockLevel(**row) for row in await connection.fetch(STOCK_WITH_SOLD, sale.sale_id)]

    async def bought(self, sale: Sale) -> Mapping[str, int]:
        async with self._reading() as connection:
            rows = await connection.fetch(
                "SELECT user_id, sum(quantity)::bigint AS bought FROM orders WHERE sale_id = $1 GROUP BY user_id",
                sale.sale_id,
            )
        return {row["user_id"]: row["bought"] for row in rows}

    async def orders(self, sale: Sale) -> AsyncIterator[Order]:
        """Every order in the order of its making, streamed through a cursor."""
        async with self._reading() as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(ORDERS, sale.sale_id, prefetch=1000):
                yield Order(**row)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """A connection on which every failure of Postgres to answer is one DatabaseAwayError."""
        try:
            async with self._database.reading() as connection:
                yield connection
        except (*AWAY, *BUSY) as error:
            raise DatabaseAwayError(f"the database is away or busy: {type(error).__name__}") from error
