"""If this fails, every purchase of a long sale reads all orders before it, and the sale gets slower as it goes on."""

from __future__ import annotations

import asyncpg
import pytest

from target_app.ledger.guarded import FIND_KEY
from target_app.ledger.lookups import FIND_KEYS
from tests.integration.target_app.till import till


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (FIND_KEY, "'00000000-0000-0000-0000-000000000000', 'k'"),
        (FIND_KEYS, "array['00000000-0000-0000-0000-000000000000']::uuid[], array['k']"),
    ],
)
async def test_a_key_is_found_by_its_own_index_even_when_planned_before_the_first_order(
    postgres_url: str, statement: str, arguments: str
) -> None:
    async with till(postgres_url):
        connection = await asyncpg.connect(postgres_url, server_settings={"search_path": "target_app"})
        try:
            await connection.execute("TRUNCATE orders")
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            await connection.execute(f"PREPARE look_up AS {statement}")
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE look_up ({arguments})"))
        finally:
            await connection.close()

    assert "using one_order_per_key_and_sale" in plan, plan
    assert "one_order_per_seq" not in plan
    assert "orders_of_sale" not in plan
