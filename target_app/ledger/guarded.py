"""The guarded transaction: the only place where a reference strategy sells, and why none of them can oversell.

The order of its steps is its safety. The stock row is locked first, so that everything after it sees what the last
holder committed: a key looked up before the lock lets a twin be told ``sold_out`` while its order commits. The limit is
counted after the stock row, in a row of the user's own, so that it holds across SKUs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg

from target_app.ledger.database import AWAY, BUSY, PostgresPool
from target_app.strategies.protocol import (
    DatabaseAwayError,
    Fenced,
    KeyReusedError,
    Limited,
    Purchase,
    Reach,
    Result,
    Sold,
    SoldOut,
    Unavailable,
)

if TYPE_CHECKING:
    from target_app.ledger.database import Connection

ROLLBACK_LIMIT_S = 0.5

# Whatever the server's default is: each statement must see what was committed before it, the key's look-up above all.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
LOCK_STOCK = "SELECT remaining, fence FROM stock WHERE sale_id = $1 AND sku = $2 FOR UPDATE"
# Planned while the sale has no orders yet, every index that begins with the sale looks as good as the key's, and one
# that was chosen then reads the whole sale for every purchase. So the sale is compared in a way that no index serves.
FIND_KEY = """
    SELECT order_id, sku, quantity, user_id, remaining, seq FROM orders
    WHERE key = $2 AND (sale_id = $1) IS TRUE AND guarded"""
COUNT_TOWARDS_LIMIT = """
    INSERT INTO buyers AS b (sale_id, user_id, bought) VALUES ($1, $2, $3)
    ON CONFLICT (sale_id, user_id) DO UPDATE SET bought = b.bought + excluded.bought
        WHERE b.bought + excluded.bought <= $4
    RETURNING bought"""
DEDUCT_AND_INSERT = """
    WITH deducted AS (
        UPDATE stock SET remaining = remaining - $3, seq = seq + 1, fence = coalesce($4, fence), guarded = true
        WHERE sale_id = $1 AND sku = $2
        RETURNING remaining, seq
    )
    INSERT INTO orders (order_id, sale_id, sku, quantity, user_id, key, remaining, seq, fence, guarded)
    SELECT $5, $1, $2, $3, $6, $7, remaining, seq, $4, true FROM deducted
    RETURNING remaining, seq"""


@dataclass(slots=True)
class _Progress:
    """Whether COMMIT has been sent: before that nothing can have happened, after that nobody can say."""

    committing: bool = False


async def sell(
    database: PostgresPool, purchase: Purchase, fence: int | None, *, limit_s: float, due_s: float, reach: Reach
) -> Result | Fenced:
    """Run the guarded transaction once, in at most ``limit_s`` after a connection was free, and not past ``due_s``.

    A refusal rolls back, which costs no flush to disk. An error or time-out once COMMIT was sent is ``unknown``.
    KeyReusedError if the key belongs to another purchase. Cancellation leaves no transaction open. ``due_s`` is by
    ``time.monotonic``; ``reach`` comes to the failpoints.
    """
    left_s = due_s - time.monotonic()
    if left_s <= 0:
        return Unavailable("the purchase has waited for too long", no_effect=True)
    progress = _Progress()
    try:
        async with (
            database.connection(within_s=left_s) as connection,
            asyncio.timeout(min(limit_s, due_s - time.monotonic())),
        ):
            result = await _transact(connection, purchase, fence, progress, reach)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "one_order_per_key_and_sale":
            raise
        # Only a purchase of another SKU can have used the key between our look-up and our insert.
        raise KeyReusedError(purchase.key) from error
    except DatabaseAwayError as error:
        return Unavailable(str(error), no_effect=not progress.committing)
    except (*BUSY, *AWAY) as error:
        return Unavailable(f"the database is away or busy: {type(error).__name__}", no_effect=not progress.committing)
    if progress.committing:
        await reach("after_commit")
    return result


async def _transact(
    connection: Connection, purchase: Purchase, fence: int | None, progress: _Progress, reach: Reach
) -> Result | Fenced:
    try:
        await connection.execute(BEGIN)
        decision = await _decide(connection, purchase, fence, reach)
        if not isinstance(decision, Sold) or decision.replayed:
            await connection.execute("ROLLBACK")
            return decision
        await reach("before_commit")
        if connection.is_closed():
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost before COMMIT could be sent")
    except BaseException:
        await _give_up(connection)
        raise
    progress.committing = True
    await connection.execute("COMMIT")
    return decision


async def _give_up(connection: Connection) -> None:
    """Roll back; a connection that does not manage that in a moment is closed, which comes to the same."""
    try:
        async with asyncio.timeout(ROLLBACK_LIMIT_S):
            await connection.execute("ROLLBACK")
    except (*AWAY, *BUSY):
        connection.terminate()


async def _decide(connection: Connection, purchase: Purchase, fence: int | None, reach: Reach) -> Result | Fenced:
    sale_id, sku, quantity = purchase.sale.sale_id, purchase.sku, purchase.quantity
    stock = await connection.fetchrow(LOCK_STOCK, sale_id, sku)
    if stock is None:
        raise LookupError(f"sale {sale_id} has no stock row for {sku!r}")
    await reach("after_hold")
    order = await connection.fetchrow(FIND_KEY, sale_id, purchase.key)
    if order is not None:
        return replay(order, purchase)
    if purchase.sale.per_user_limit and not await _within_limit(connection, purchase):
        return Limited()
    if fence is not None and fence <= stock["fence"]:
        return Fenced(stock["fence"])
    if stock["remaining"] < quantity:
        return SoldOut()
    order_id = uuid4()
    order = await connection.fetchrow(
        DEDUCT_AND_INSERT, sale_id, sku, quantity, fence, order_id, purchase.user_id, purchase.key
    )
    if order is None:  # the row is locked and was there, so this is not "sold out"
        raise LookupError(f"sale {sale_id} lost its stock row for {sku!r}")
    return Sold(order_id, order["remaining"], order["seq"])


async def _within_limit(connection: Connection, purchase: Purchase) -> bool:
    limit = purchase.sale.per_user_limit
    if purchase.quantity > limit:
        return False
    counted = await connection.fetchval(
        COUNT_TOWARDS_LIMIT, purchase.sale.sale_id, purchase.user_id, purchase.quantity, limit
    )
    return counted is not None


def replay(order: asyncpg.Record, purchase: Purchase) -> Sold:
    """The stored answer of the key; KeyReusedError if another purchase was made with it."""
    if (order["sku"], order["quantity"], order["user_id"]) != (purchase.sku, purchase.quantity, purchase.user_id):
        raise KeyReusedError(purchase.key)
    order_id: UUID = order["order_id"]
    return Sold(order_id, order["remaining"], order["seq"], replayed=True)
