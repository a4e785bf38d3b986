"""The app over HTTP, without sockets: each ``worker`` is one process' worth of it, over the same real stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

TOKEN = "only-for-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Client:
    """One worker, as a client sees it."""

    http: httpx.AsyncClient
    stop: Callable[[], Awaitable[None]]

    async def open(self, strategy: str = "row_lock", *, stock: int = 10, skus: int = 1, per_user_limit: int = 0) -> str:
        items = [{"sku": f"sku-{number}", "stock": stock, "price": 100} for number in range(1, skus + 1)]
        body = {"strategy": strategy, "items": items, "per_user_limit": per_user_limit}
        answer = await self.http.post("/sales", json=body, headers=ADMIN)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["sale_id"])

    async def buy(
        self, sale_id: str, *, key: str | None = None, sku: str = "sku-1", quantity: Any = 1, user: str = "u1"
    ) -> httpx.Response:
        return await self.http.post(
            f"/sales/{sale_id}/purchases",
            json={"sku": sku, "quantity": quantity, "user_id": user},
            headers={"Idempotency-Key": key or uuid4().hex},
        )

    async def rows(self, sale_id: str, what: str) -> list[dict[str, Any]]:
        """The lines of ``ledger`` or ``stock``."""
        answer = await self.http.get(f"/sales/{sale_id}/{what}", headers=ADMIN)
        assert answer.status_code == 200, answer.text
        return [httpx.Response(200, text=line).json() for line in answer.text.splitlines()]


NewWorker = Callable[..., Awaitable[Client]]


def counted(text: str, name: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(name + " "))
    return float(line.rsplit(" ", 1)[1])


DATABASE_READS = "target_app_database_reads_total"


async def database_reads(worker: Client) -> float:
    return counted((await worker.http.get("/metrics")).text, DATABASE_READS)
