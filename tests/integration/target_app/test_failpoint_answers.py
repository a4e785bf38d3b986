"""What a buyer is told whose purchase fails between two steps, and what the key says when it is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arming import arm, taken
from tests.integration.target_app.client import NewWorker

STRATEGIES = pytest.mark.parametrize("strategy", ["row_lock", "redis_lock", "redis_lua"])


@STRATEGIES
@pytest.mark.parametrize("point", ["after_hold", "before_commit"])
async def test_what_fails_before_the_commit_had_no_effect_and_says_so(
    new_worker: NewWorker, tmp_path: Path, strategy: str, point: str
) -> None:
    worker = await new_worker(failpoints=tmp_path)
    sale = await worker.open(strategy, stock=2)
    arm(tmp_path, point, "fail")

    failed = await worker.buy(sale, key="k")

    assert (failed.status_code, failed.json().get("effect")) == (503, "none")
    assert int(failed.headers["retry-after"]) >= 1
    assert len(taken(tmp_path, point)) == 1
    assert await worker.rows(sale, "ledger") == []
    assert (await worker.buy(sale, key="k")).status_code == 201


@STRATEGIES
async def test_what_fails_after_the_commit_is_unknown_and_its_key_replays(
    new_worker: NewWorker, tmp_path: Path, strategy: str
) -> None:
    worker = await new_worker(failpoints=tmp_path)
    sale = await worker.open(strategy, stock=2)
    arm(tmp_path, "after_commit", "fail")

    failed = await worker.buy(sale, key="k")

    assert (failed.status_code, failed.json().get("effect")) == (503, None)
    assert [row["key"] for row in await worker.rows(sale, "ledger")] == ["k"]
    again = await worker.buy(sale, key="k")
    assert (again.status_code, again.json()["seq"]) == (200, 1)


@pytest.mark.parametrize("strategy", ["redis_lock", "redis_lua"])
async def test_what_fails_after_a_sale_does_not_make_it_an_error(
    new_worker: NewWorker, tmp_path: Path, strategy: str
) -> None:
    worker = await new_worker(failpoints=tmp_path)
    sale = await worker.open(strategy, stock=2)
    arm(tmp_path, "before_release", "fail")

    assert (await worker.buy(sale, key="k")).status_code == 201
    assert len(taken(tmp_path, "before_release")) == 1
    assert (await worker.buy(sale, key="k")).status_code == 200


async def test_without_a_folder_there_are_no_failpoints(new_worker: NewWorker, tmp_path: Path) -> None:
    worker = await new_worker()
    sale = await worker.open(stock=2)
    arm(tmp_path, "before_commit", "fail")

    assert (await worker.buy(sale)).status_code == 201
    assert taken(tmp_path, "before_commit") == []
