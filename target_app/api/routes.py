"""The routes: thin, each the HTTP form of one call."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from target_app.api import metrics, problems
from target_app.api.models import (
    CatalogueView,
    CounterView,
    ProblemView,
    ProductView,
    PurchaseBody,
    PurchaseView,
    ReadyView,
    SaleBody,
    SaleView,
    Sku,
    StrategyView,
)
from target_app.api.service import Service
from target_app.strategies.protocol import Counter, Item, Strategy


async def service(request: Request) -> Service:
    """This worker's parts. A coroutine, as ``admin`` is: a plain function would cost every request a thread."""
    found: Service = request.app.state.service
    return found


async def admin(request: Request, worker: Annotated[Service, Depends(service)]) -> None:
    """Let the bearer of the admin token pass."""
    given = request.headers.get("authorization", "")
    expected = f"Bearer {worker.settings.admin_token.get_secret_value()}"
    if not secrets.compare_digest(given.encode(), expected.encode()):
        raise problems.unauthorized()


Worker = Annotated[Service, Depends(service)]
SaleId = Annotated[UUID, Path()]
IdempotencyKey = Annotated[
    str, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
]
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemView, "content": {"application/problem+json": {}}}
    for status in (401, 404, 405, 409, 413, 422, 500, 503)
}

router = APIRouter(responses=REFUSALS)


@router.post("/sales", status_code=201, dependencies=[Depends(admin)])
async def open_sale(body: SaleBody, worker: Worker) -> SaleView:
    """Create a sale. It never changes; a new trial makes a new sale."""
    strategy = worker.strategies.get(body.strategy)
    if strategy is None:
        known = ", ".join(sorted(worker.strategies))
        raise problems.invalid([{"loc": ("strategy",), "msg": f"unknown; there is {known}"}])
    items = [Item(item.sku, item.stock, item.price) for item in body.items]
    sale = await worker.ledger.create_sale(body.strategy, items, body.per_user_limit)
    await strategy.open(sale)
    return SaleView(
        sale_id=sale.sale_id,
        strategy=sale.strategy,
        items=body.items,
        per_user_limit=sale.per_user_limit,
        counter=_counter(strategy),
        lock_keys=tuple(strategy.lock_keys),
    )


@router.post("/sales/{sale_id}/purchases", status_code=201, response_model=PurchaseView)
async def buy(sale_id: SaleId, key: IdempotencyKey, body: PurchaseBody, worker: Worker) -> Response:
    """Buy. A replay of a key that was sold answers the same with 200."""
    sold = await worker.purchase(sale_id, key, body)
    order = {
        "order_id": str(sold.order_id),
        "sku": body.sku,
        "quantity": body.quantity,
        "remaining": sold.remaining,
        "seq": sold.seq,
    }
    if sold.replayed:
        return JSONResponse(order, 200, {"Idempotent-Replayed": "true"})
    return JSONResponse(order, 201)


@router.get("/sales/{sale_id}/products/{sku}", response_model=ProductView)
async def product(sale_id: SaleId, sku: Sku, worker: Worker) -> Response:
    """Read a product through the cache."""
    reading = await worker.cache.read(sale_id, sku)
    metrics.PRODUCT_READS.labels(reading.result).inc()
    headers = {"X-Cache": reading.result.value, "Age": str(int(reading.age_s))}
    if reading.product is None:
        refusal = problems.not_found("product in this sale").response()
        refusal.headers.update(headers)
        return refusal
    return JSONResponse(asdict(reading.product), 200, headers)


@router.get("/sales/{sale_id}/ledger", dependencies=[Depends(admin)], response_class=StreamingResponse)
async def ledger(sale_id: SaleId, worker: Worker) -> StreamingResponse:
    """Every order, a line of JSON each, in the order of their making."""
    sale = await worker.sale(sale_id)

    async def lines() -> AsyncIterator[str]:
        async for order in worker.ledger.orders(sale):
            yield (
                json.dumps(
                    {
                        "order_id": str(order.order_id),
                        "sku": order.sku,
                        "quantity": order.quantity,
                        "user_id": order.user_id,
                        "key": order.key,
                        "remaining": order.remaining,
                        "seq": order.seq,
                        "fence": order.fence,
                        "created_unix_us": _unix_us(order.created_at),
                    }
                )
                + "\n"
            )

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get("/sales/{sale_id}/stock", dependencies=[Depends(admin)], response_class=StreamingResponse)
async def stock(sale_id: SaleId, worker: Worker) -> StreamingResponse:
    """Every SKU's stock in each store, a line of JSON each, uncached."""
    sale = await worker.sale(sale_id)
    levels = await worker.ledger.stock_levels(sale)
    counters = await worker.strategies[sale.strategy].stock(sale) if sale.strategy in worker.strategies else {}

    async def lines() -> AsyncIterator[str]:
        for level in levels:
            counter = counters.get(level.sku, Counter(None))
            yield (
                json.dumps(
                    {
                        "sku": level.sku,
                        "initial": level.initial,
                        "sold": level.sold,
                        "postgres_remaining": level.remaining,
                        "redis_remaining": counter.remaining,
                        "redis_held": counter.held,
                    }
                )
                + "\n"
            )

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get("/strategies")
async def strategies(worker: Worker) -> CatalogueView:
    """What a sale can name."""
    return CatalogueView(
        strategies=tuple(
            StrategyView(
                name=each.name,
                summary=each.kind.summary,
                source=each.source,
                source_sha256=each.source_sha256,
                counter=_counter(each.kind),
                declared_keys=tuple(each.kind.declared_keys),
                lock_keys=tuple(each.kind.lock_keys),
            )
            for each in worker.registry.values()
        ),
        longest_timer_s=worker.settings.longest_timer_s,
    )


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(worker: Worker) -> ReadyView:
    """The worker can serve: every plug-in loaded, and Postgres answers. Redis may be away."""
    if worker.plugin_problem is not None:
        problem = problems.unavailable(worker.plugin_problem, no_effect=True)
        problem.more["permanent"] = True
        raise problem
    if not await worker.database.answers():
        raise problems.unavailable("Postgres does not answer.", no_effect=True)
    return ReadyView(worker=os.getpid())


@router.get("/metrics", response_class=Response)
async def prometheus() -> Response:
    """Prometheus text, over all workers."""
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _counter(strategy: Strategy | type[Strategy]) -> CounterView | None:
    declared = strategy.counter
    if declared is None:
        return None
    return CounterView(key=declared.template, remaining_field=declared.remaining_field, held_field=declared.held_field)


def _unix_us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
