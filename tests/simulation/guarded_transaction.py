"""The one transaction through which every sale goes, in the order of its steps."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from flashbench.vocabulary import Outcome
from tests.simulation.history import Request
from tests.simulation.postgres import CancelledInCommit, CommitInDoubt, Postgres, PostgresFailed, Transaction
from tests.simulation.rules import Rule
from tests.simulation.world import Cancelled, Steps


class Deed(Enum):
    """What became of a purchase in Postgres."""

    OWN = "own insert committed"
    REPLAY = "the key has its order already"
    SOLD_OUT = "sold out"
    LIMITED = "limited"
    FENCED = "refused by the fence"
    NO_EFFECT = "provably nothing written"
    UNKNOWN = "may or may not be committed"


OUTCOMES = {
    Deed.OWN: Outcome.SOLD,
    Deed.REPLAY: Outcome.SOLD,
    Deed.SOLD_OUT: Outcome.SOLD_OUT,
    Deed.LIMITED: Outcome.LIMITED,
    Deed.NO_EFFECT: Outcome.FAILED,
    Deed.UNKNOWN: Outcome.UNKNOWN,
}


class _Decided(Exception):  # noqa: N818
    """Ends the transaction without a write."""

    def __init__(self, deed: Deed) -> None:
        self.deed = deed


def commit_guarded(
    postgres: Postgres, request: Request, *, per_user_limit: int, fence: int | None = None, locked: bool = True
) -> Steps[Deed]:
    """Lock the stock row, key, limit, fence, stock, update, insert, commit.

    ``fence`` is a lock holder's token. ``locked`` is False only for the path that breaks ``ONE_GUARD_IN_EVERY_MODE``.
    """
    transaction = postgres.begin(request, fence)
    try:
        yield from _decide_and_write(postgres, transaction, per_user_limit, locked)
        yield from postgres.commit(transaction)
    except _Decided as decided:
        postgres.roll_back(transaction)
        return decided.deed
    except PostgresFailed:
        return Deed.NO_EFFECT
    except CommitInDoubt:
        return Deed.UNKNOWN if postgres.world.obeys(Rule.COMMIT_ERROR_IS_UNKNOWN) else Deed.NO_EFFECT
    except CancelledInCommit:
        raise
    except Cancelled:
        postgres.roll_back(transaction)
        raise
    return Deed.OWN


def _decide_and_write(postgres: Postgres, transaction: Transaction, per_user_limit: int, locked: bool) -> Steps[None]:
    obeys, request = postgres.world.obeys, transaction.request
    if not obeys(Rule.LIMIT_AFTER_KEY):
        yield from _limit(postgres, transaction, per_user_limit)
    if not obeys(Rule.KEY_AFTER_LOCK):
        yield from _key(postgres, transaction)

    yield from postgres.statement(transaction)
    if locked and obeys(Rule.STOCK_ROW_LOCKED):
        yield from postgres.lock(transaction, ("stock", request.sku))
    row = postgres.stock[request.sku]

    if obeys(Rule.KEY_AFTER_LOCK):
        yield from _key(postgres, transaction)
    if obeys(Rule.LIMIT_AFTER_KEY):
        yield from _limit(postgres, transaction, per_user_limit)
    fence = transaction.fence
    if fence is not None and obeys(Rule.FENCE_CHECKED):
        passed = fence > row.fence if obeys(Rule.FENCE_STRICTLY_GREATER) else fence >= row.fence
        if not passed:
            raise _Decided(Deed.FENCED if obeys(Rule.FENCED_IS_NOT_SOLD_OUT) else Deed.SOLD_OUT)
    if row.remaining < request.quantity:
        raise _Decided(Deed.SOLD_OUT)

    yield from postgres.statement(transaction)
    yield from postgres.lock(transaction, ("stock", request.sku))  # an update takes the lock in any case
    cleared = 0 if fence is None and not obeys(Rule.GUARDED_PATH_LEAVES_FENCE) else row.fence
    transaction.stock = replace(
        row, remaining=row.remaining - request.quantity, seq=row.seq + 1, fence=cleared if fence is None else fence
    )
    yield from postgres.statement(transaction)
    yield from postgres.lock(transaction, ("key", request.key))  # the unique index
    transaction.inserts = request.key not in postgres.orders
    if not transaction.inserts and obeys(Rule.CONFLICT_ROLLS_BACK):
        raise _Decided(Deed.NO_EFFECT)


def _key(postgres: Postgres, transaction: Transaction) -> Steps[None]:
    yield from postgres.statement(transaction)
    request = transaction.request
    found = postgres.orders.get(request.key)
    if found is not None:
        raise _Decided(Deed.REPLAY if found.purchase == request.purchase else Deed.NO_EFFECT)


def _limit(postgres: Postgres, transaction: Transaction, per_user_limit: int) -> Steps[None]:
    if per_user_limit == 0:
        return
    yield from postgres.statement(transaction)
    user = transaction.request.user
    if postgres.world.obeys(Rule.LIMIT_BY_BUYERS_ROW):
        yield from postgres.lock(transaction, ("buyer", user))
        bought = postgres.bought.get(user, 0)
    else:
        bought = sum(order.quantity for order in postgres.orders.values() if order.user == user)
    bought += transaction.request.quantity
    if bought > per_user_limit:
        raise _Decided(Deed.LIMITED)
    transaction.bought = bought
