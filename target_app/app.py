"""The wiring of one worker: settings, pools, strategies, routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from target_app.api import metrics, problems
from target_app.api.in_flight import InFlightKeys
from target_app.api.middleware import BodyLimit, ServerTiming
from target_app.api.routes import router
from target_app.api.service import Service
from target_app.cache.guarded_redis import BreakerRedis
from target_app.cache.products import ProductCache
from target_app.failpoints import Failpoints
from target_app.ledger.database import PostgresPool
from target_app.ledger.postgres import PostgresLedger
from target_app.settings import Settings
from target_app.strategies.protocol import DatabaseAwayError, Resources, unarmed
from target_app.strategies.registry import PluginError, built_in, instances, with_plugins

KINDS = {
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "content-too-large",
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app of one worker; uvicorn calls it without arguments in each."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(chosen) as service:
            app.state.service = service
            yield

    app = FastAPI(title="A flash-sale service", version="1", lifespan=lifespan, redirect_slashes=False)
    app.include_router(router)
    app.add_exception_handler(problems.ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(DatabaseAwayError, _database_away)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(BodyLimit)
    app.add_middleware(ServerTiming)
    return app


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """One worker's parts, connected; closed in the reverse order."""
    async with AsyncExitStack() as stack:
        database = await PostgresPool.connect(settings)
        stack.push_async_callback(database.close)
        reach = unarmed if settings.failpoints is None else Failpoints(settings.failpoints).reach
        ledger = PostgresLedger(database, settings, reach)
        redis = BreakerRedis.connect(
            settings.redis_url.get_secret_value() if settings.redis_url else None,
            command_timeout_s=settings.redis_command_s,
            connect_timeout_s=settings.redis_connect_s,
            breaks=settings.redis_breaker,
        )
        stack.push_async_callback(redis.close)
        resources = Resources(database, ledger, redis, settings.limits, reach)
        plugin_problem = None
        try:
            registry = with_plugins(settings.strategies)
            strategies = instances(registry, resources)
        except PluginError as error:
            plugin_problem = str(error)
            registry = built_in()
            strategies = instances(registry, resources)
        for strategy in strategies.values():
            stack.push_async_callback(strategy.close)
        cache = ProductCache(redis, ledger, settings)
        stack.push_async_callback(cache.close)
        watch = asyncio.create_task(_publish(redis, cache, ledger))
        stack.callback(watch.cancel)
        service = Service(
            settings=settings,
            database=database,
            ledger=ledger,
            cache=cache,
            registry=registry,
            strategies=strategies,
            in_flight=InFlightKeys(settings.in_flight_wait_s),
            plugin_problem=plugin_problem,
        )
        stack.push_async_callback(service.sale_reads.close)
        yield service


async def _publish(redis: BreakerRedis, cache: ProductCache, ledger: PostgresLedger) -> None:
    """Keep the metrics of what is not counted as it happens."""
    recomputes = reads = 0
    while True:
        metrics.BREAKER.set(float(redis.breaker.state.level))
        metrics.CONCURRENT_RECOMPUTES.set(cache.most_concurrent_recomputes)
        metrics.RECOMPUTES.inc(cache.recomputes - recomputes)
        metrics.DATABASE_READS.inc(ledger.product_reads - reads)
        recomputes, reads = cache.recomputes, ledger.product_reads
        await asyncio.sleep(0.1)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, problems.ProblemError)
    return error.response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problems.invalid(error.errors()).response()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's word for a body that can't be parsed
        return problems.invalid([{"loc": ("body",), "msg": "it is not JSON in UTF-8"}]).response()
    status = HTTPStatus(error.status_code)
    answer = problems.ProblemError(status, KINDS.get(status, "refused"), str(error.detail), no_effect=True).response()
    answer.headers.update(error.headers or {})
    return answer


async def _database_away(_: Request, error: Exception) -> Response:
    return problems.unavailable(str(error), no_effect=False).response()


async def _bug(_: Request, error: Exception) -> Response:
    """The server logs the traceback; what had happened by then nobody can say."""
    return problems.ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal", f"The app failed: {type(error).__name__}."
    ).response()
