"""If these fail, a control is broken by more than its one mistake, and says nothing about the fault that exposes it."""

from __future__ import annotations

import asyncio
import tomllib
from uuid import uuid4

import pytest

from benchmarks.catalogue import SUITES
from flashbench.catalogue import Contender, controls
from target_app.strategies.protocol import Counter, Purchase, Result, Sale, Sold, SoldOut, Unavailable
from target_app.strategies.registry import load
from tests.integration.strategies.workers import KINDS, Worker, working
from tests.waiting import eventually

LABELS = {each["label"] for each in tomllib.loads((SUITES / "outage-controls.toml").read_text())["scenarios"]}
STOCK, BUYERS, RETURNING = 12, 20, 4


@pytest.mark.parametrize(
    "control", [each for each in controls() if each.exposed_by in LABELS], ids=lambda control: control.name
)
async def test_without_a_fault_it_sells_what_there_is_once_to_each(
    control: Contender, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert control.plugin is not None
    monkeypatch.setitem(KINDS, control.name, load(control.plugin).kind)
    async with (
        working(control.name, postgres_url, redis_url) as one,
        working(control.name, postgres_url, redis_url) as two,
    ):
        sale = await one.open(stock=STOCK)
        keys = [uuid4().hex for _ in range(BUYERS)]
        early = await asyncio.gather(*(_decided(one, sale, key) for key in keys[:RETURNING]))
        again = await asyncio.gather(*(_decided(two, sale, key) for key in keys[:RETURNING]))
        late = await asyncio.gather(
            *(_decided((one, two)[number % 2], sale, key) for number, key in enumerate(keys[RETURNING:]))
        )

        sold = {key: each for key, each in zip(keys, [*early, *late], strict=True) if isinstance(each, Sold)}
        assert len(sold) == STOCK
        assert [type(each) for each in late].count(SoldOut) == BUYERS - STOCK
        assert [_order(each) for each in again] == [_order(each) for each in early]

        async def written() -> bool:
            return await one.remaining(sale) == 0

        await eventually(written)
        assert sorted(key for key, *_ in await one.orders(sale)) == sorted(sold)
        assert (await one.strategy.stock(sale)).get("a", Counter(0)).remaining == 0


async def _decided(worker: Worker, sale: Sale, key: str) -> Result:
    """What a buyer is told who comes again until something is decided."""
    async with asyncio.timeout(10):
        while True:
            result = await worker.strategy.buy(Purchase(sale, "a", 1, key, key))
            if not isinstance(result, Unavailable):
                return result
            assert result.no_effect, result


def _order(result: Result) -> tuple[object, int | None, int | None] | None:
    return (result.order_id, result.remaining, result.seq) if isinstance(result, Sold) else None
