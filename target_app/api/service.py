"""What one worker is made of, and what it does with a purchase."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

from target_app.api import metrics, problems
from target_app.api.in_flight import InFlightKeys, StillInFlightError
from target_app.api.models import PurchaseBody
from target_app.cache.products import ProductCache
from target_app.cache.single_flight import SingleFlight
from target_app.failpoints import FailpointError
from target_app.ledger.database import AWAY, BUSY, PostgresPool
from target_app.ledger.postgres import PostgresLedger
from target_app.settings import Settings
from target_app.strategies.protocol import (
    DatabaseAwayError,
    KeyReusedError,
    Limited,
    Purchase,
    Result,
    Sale,
    Sold,
    SoldOut,
    Strategy,
    Unavailable,
)
from target_app.strategies.registry import Registered

_RESULT_NAMES = {Sold: "sold", SoldOut: "sold_out", Limited: "limited", Unavailable: "unavailable"}


@dataclass(frozen=True, slots=True)
class Service:
    """One worker's parts. ``plugin_problem`` is why it will never be ready, if a plug-in did not load."""

    settings: Settings
    database: PostgresPool
    ledger: PostgresLedger
    cache: ProductCache
    registry: dict[str, Registered]
    strategies: dict[str, Strategy]
    in_flight: InFlightKeys
    sale_reads: SingleFlight[UUID, Sale | None] = field(default_factory=SingleFlight)
    plugin_problem: str | None = None

    async def sale(self, sale_id: UUID) -> Sale:
        """The sale; a not-found problem if there is none. Buyers who come at once share the first read of it."""
        sale = self.ledger.known_sale(sale_id)
        if sale is None:
            sale = await self.sale_reads.run(sale_id, lambda: self.ledger.sale(sale_id))
        if sale is None:
            raise problems.not_found("sale")
        return sale

    async def purchase(self, sale_id: UUID, key: str, body: PurchaseBody) -> Sold:
        """Decide a purchase; everything but a sale is raised as a problem."""
        came_s = time.monotonic()
        try:
            sale = await self.sale(sale_id)
        except DatabaseAwayError as error:
            raise problems.unavailable(str(error), no_effect=True) from error
        if body.sku not in sale.items:
            raise problems.not_found("product in this sale")
        strategy = self.strategies.get(sale.strategy)
        if strategy is None:
            raise problems.unavailable(f"the strategy {sale.strategy!r} is not loaded", no_effect=True)
        purchase = Purchase(sale, body.sku, body.quantity, body.user_id, key, came_s)
        result = await self._decide(strategy, purchase)
        if type(result) not in _RESULT_NAMES:
            raise TypeError(f"the strategy {sale.strategy!r} answered {result!r}, which is no result of a purchase")
        metrics.PURCHASES.labels(sale.strategy, _RESULT_NAMES[type(result)]).inc()
        match result:
            case Sold():
                if result.remaining == 0 and result.seq is not None and not result.replayed:
                    await self.cache.invalidate(sale_id, body.sku, result.seq)
                return result
            case SoldOut():
                raise problems.sold_out()
            case Limited():
                raise problems.purchase_limit(sale.per_user_limit)
            case Unavailable():
                raise problems.unavailable(
                    result.reason, no_effect=result.no_effect, retry_after_s=result.retry_after_s
                )

    async def _decide(self, strategy: Strategy, purchase: Purchase) -> Result:
        metrics.IN_FLIGHT.inc()
        try:
            async with self.in_flight.alone(purchase.sale.sale_id, purchase.key):
                return await strategy.buy(purchase)
        except StillInFlightError:
            raise problems.in_progress() from None
        except KeyReusedError:
            raise problems.key_reused() from None
        except (DatabaseAwayError, *AWAY, *BUSY) as error:
            # The own SQL of a strategy lost its connection, or a lock, somewhere: nobody can say how far it came.
            return Unavailable(f"the database is away or busy: {type(error).__name__}: {error}", no_effect=False)
        except FailpointError as error:
            return Unavailable(str(error), no_effect=error.no_effect)
        finally:
            metrics.IN_FLIGHT.dec()
