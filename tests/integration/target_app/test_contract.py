"""If these fail, the app no longer answers what its contract says, and every harness that reads it is misled."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.target_app.client import ADMIN, Client, NewWorker

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, kind and effect of a refusal, which must be problem details."""
    assert answer.headers["content-type"] == PROBLEM, answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["detail"]
    return answer.status_code, body["type"].rpartition("/")[2], body.get("effect")


async def test_a_purchase_answers_the_order_and_its_place(worker: Client) -> None:
    sale = await worker.open(stock=10)

    answer = await worker.buy(sale, quantity=3)

    assert answer.status_code == 201
    body = answer.json()
    assert (body["sku"], body["quantity"], body["remaining"], body["seq"]) == ("sku-1", 3, 7, 1)
    assert [row["order_id"] for row in await worker.rows(sale, "ledger")] == [body["order_id"]]


async def test_a_replay_answers_the_same_body_with_200_and_sells_nothing(worker: Client) -> None:
    sale = await worker.open()
    first = await worker.buy(sale, key="k")

    again = await worker.buy(sale, key="k")

    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    (stock,) = await worker.rows(sale, "stock")
    assert (stock["sold"], stock["postgres_remaining"]) == (1, 9)


@pytest.mark.parametrize("strategy", ["row_lock", "redis_lock", "redis_lua"])
async def test_refusals_have_a_type_and_say_that_nothing_happened(worker: Client, strategy: str) -> None:
    sale = await worker.open(strategy, stock=3, per_user_limit=2)
    assert (await worker.buy(sale, quantity=2, user="u1")).status_code == 201

    assert problem(await worker.buy(sale, user="u1")) == (409, "purchase-limit", "none")
    assert problem(await worker.buy(sale, quantity=2, user="u2")) == (409, "sold-out", "none")
    (stock,) = await worker.rows(sale, "stock")
    assert (stock["sold"], stock["postgres_remaining"]) == (2, 1)


@pytest.mark.parametrize("strategy", ["row_lock", "redis_lock", "redis_lua"])
async def test_a_key_that_was_refused_may_be_tried_again(worker: Client, strategy: str) -> None:
    sale = await worker.open(strategy, stock=2)
    assert (await worker.buy(sale, key="k", quantity=3)).status_code == 409

    assert (await worker.buy(sale, key="k", quantity=2)).status_code == 201


@pytest.mark.parametrize("strategy", ["row_lock", "redis_lock", "redis_lua"])
@pytest.mark.parametrize("other", [{"sku": "sku-2"}, {"quantity": 2}, {"user": "u2"}])
async def test_a_key_with_another_body_is_refused(worker: Client, strategy: str, other: dict[str, Any]) -> None:
    sale = await worker.open(strategy, skus=2)
    assert (await worker.buy(sale, key="k")).status_code == 201

    assert problem(await worker.buy(sale, key="k", **other)) == (422, "key-reused", "none")
    assert len(await worker.rows(sale, "ledger")) == 1


@pytest.mark.parametrize("quantity", [0, -1, 1.5, 1.0, "1", True, None, 10**30, [1]])
async def test_a_quantity_that_is_no_positive_whole_number_changes_nothing(worker: Client, quantity: Any) -> None:
    sale = await worker.open()

    assert problem(await worker.buy(sale, quantity=quantity)) == (422, "validation", "none")
    assert await worker.rows(sale, "ledger") == []


async def test_more_units_than_there_ever_were_is_sold_out(worker: Client) -> None:
    sale = await worker.open(stock=5)

    assert problem(await worker.buy(sale, quantity=10**12)) == (409, "sold-out", "none")


@pytest.mark.parametrize("key", ["", "k" * 129, "with space", "tab\tbed"])
async def test_a_key_that_does_not_fit_changes_nothing(worker: Client, key: str) -> None:
    sale = await worker.open()

    answer = await worker.http.post(
        f"/sales/{sale}/purchases",
        json={"sku": "sku-1", "quantity": 1, "user_id": "u1"},
        headers={"Idempotency-Key": key},
    )

    assert problem(answer) == (422, "validation", "none")
    assert await worker.rows(sale, "ledger") == []


async def test_a_missing_key_and_a_body_that_is_not_json_change_nothing(worker: Client) -> None:
    sale = await worker.open()
    path, body = f"/sales/{sale}/purchases", {"sku": "sku-1", "quantity": 1, "user_id": "u1"}

    assert problem(await worker.http.post(path, json=body)) == (422, "validation", "none")
    for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"sku": "sku-1", "quantity": 1, "user_id": "\x00"}'):
        answer = await worker.http.post(
            path, content=content, headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
        )
        assert problem(answer) == (422, "validation", "none"), content
    assert await worker.rows(sale, "ledger") == []


async def test_what_does_not_exist_is_not_found(worker: Client) -> None:
    sale = await worker.open()

    assert problem(await worker.buy(sale, sku="sku-9")) == (404, "not-found", "none")
    assert problem(await worker.buy(str(uuid4()))) == (404, "not-found", "none")
    assert problem(await worker.http.get(f"/sales/{sale}/products/sku-9"))[:2] == (404, "not-found")
    assert problem(await worker.http.get(f"/sales/{uuid4()}/ledger", headers=ADMIN))[:2] == (404, "not-found")


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer ", "only-for-tests", "Bearer ünlikely"])
async def test_admin_calls_need_the_token(worker: Client, token: str | None) -> None:
    sale = await worker.open()
    headers = httpx.Headers([(b"Authorization", token.encode())] if token is not None else [])

    for method, path in (("POST", "/sales"), ("GET", f"/sales/{sale}/ledger"), ("GET", f"/sales/{sale}/stock")):
        answer = await worker.http.request(method, path, headers=headers)
        assert problem(answer)[:2] == (401, "unauthorized")


async def test_a_sale_of_an_unknown_strategy_names_those_there_are(worker: Client) -> None:
    body = {"strategy": "hope", "items": [{"sku": "a", "stock": 1, "price": 1}]}

    answer = await worker.http.post("/sales", json=body, headers=ADMIN)

    assert problem(answer)[:2] == (422, "validation")
    assert "redis_lock, redis_lua, row_lock" in answer.json()["detail"]


async def test_server_timing_carries_the_time_in_each_store(worker: Client) -> None:
    sale = await worker.open("redis_lua")

    timing = (await worker.buy(sale)).headers["server-timing"]

    spent = {part.split(";dur=")[0].strip(): float(part.split(";dur=")[1]) for part in timing.split(",")}
    assert set(spent) == {"app", "redis", "postgres"}
    assert spent["postgres"] > 0
    assert spent["redis"] > 0
    assert spent["app"] >= spent["postgres"]


async def test_the_catalogue_names_strategies_counters_and_the_longest_timer(worker: Client) -> None:
    catalogue = (await worker.http.get("/strategies")).json()

    found = {entry["name"]: entry for entry in catalogue["strategies"]}
    assert set(found) == {"row_lock", "redis_lock", "redis_lua"}
    assert found["row_lock"]["counter"] is None
    assert found["redis_lua"]["counter"]["remaining_field"] == "avail"
    assert found["redis_lock"]["lock_keys"] == ["redis_lock:{sale_id}:lock:{sku}"]
    assert found["row_lock"]["lock_keys"] == found["redis_lua"]["lock_keys"] == []
    assert catalogue["longest_timer_s"] >= 3.0


async def test_a_new_sale_names_the_locks_of_its_strategy(worker: Client) -> None:
    body = {"strategy": "redis_lock", "items": [{"sku": "a", "stock": 1, "price": 1}]}

    sale = (await worker.http.post("/sales", json=body, headers=ADMIN)).json()

    assert sale["lock_keys"] == ["redis_lock:{sale_id}:lock:{sku}"]


async def test_metrics_count_purchases_by_result(worker: Client) -> None:
    sale = await worker.open(stock=1)
    await worker.buy(sale)
    await worker.buy(sale)

    text = (await worker.http.get("/metrics")).text

    assert "target_app_in_flight 0.0" in text
    assert 'target_app_purchases_total{result="sold_out",strategy="row_lock"}' in text
    assert "target_app_breaker_state" in text


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import nowhere_to_be_found", "does not import: ModuleNotFoundError"),
        ("class Mine(:", "does not import: SyntaxError"),
        ("class Other: pass", "has no class 'Mine'"),
        ("class Mine: pass", "is no subclass"),
        ("from target_app.strategies.protocol import Strategy\nclass Mine(Strategy): pass", "has no name"),
        ("from target_app.strategies.protocol import Strategy\nclass Mine(Strategy): name = 'm'", "not implement buy"),
        (
            "from target_app.strategies.protocol import Strategy\n"
            "class Mine(Strategy):\n    name = 'row_lock'\n    async def buy(self, purchase): ...",
            "is taken",
        ),
    ],
)
async def test_a_plugin_that_cannot_be_used_makes_the_worker_say_why(
    new_worker: NewWorker, tmp_path: Path, source: str, sentence: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)

    worker = await new_worker(strategies=(f"{path}:Mine",))
    answer = await worker.http.get("/readyz")

    assert problem(answer)[:2] == (503, "unavailable")
    assert sentence in answer.json()["detail"]
    assert answer.json()["permanent"]


async def test_a_plugin_is_offered_under_its_name_with_its_source_and_hash(
    new_worker: NewWorker, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from target_app.strategies.protocol import *\n"
        "class Mine(Strategy):\n    name = 'mine'\n"
        "    async def buy(self, purchase):\n        return await self.resources.ledger.commit(purchase)\n"
    )
    worker = await new_worker(strategies=(f"{path}:Mine",))

    sale = await worker.open("mine", stock=1)

    assert [(await worker.buy(sale)).status_code for _ in range(2)] == [201, 409]
    entry = next(each for each in (await worker.http.get("/strategies")).json()["strategies"] if each["name"] == "mine")
    assert entry["source"] == f"{path}:Mine"
    assert len(entry["source_sha256"]) == 64
