"""Workers of the app over the test's own stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from target_app.app import create_app
from target_app.settings import Settings
from tests.integration.target_app.client import TOKEN, Client, NewWorker


@pytest.fixture
async def new_worker(postgres_url: str, redis_url: str) -> AsyncIterator[NewWorker]:
    """Makes workers; keyword arguments are settings, ``redis_url=None`` for one without Redis."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> Client:
            chosen = {
                "database_url": postgres_url,
                "redis_url": redis_url,
                "admin_token": TOKEN,
                "database_pool": 10,
                **settings,
            }
            app = create_app(Settings.model_validate(chosen))
            life = await stack.enter_async_context(AsyncExitStack())
            await life.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            http = await life.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://target"))
            return Client(http, life.aclose)

        yield make


@pytest.fixture
async def worker(new_worker: NewWorker) -> Client:
    return await new_worker()
