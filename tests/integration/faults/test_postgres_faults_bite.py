"""If these fail, a fault of Postgres is not what it says: it is not there, is not seen, or is not gone afterwards."""

from __future__ import annotations

import psycopg
import pytest

from benchmarks.fault import FaultError, Scene, fault_class
from benchmarks.probes import postgres_session
from flashbench.services import StackInfo
from flashbench.vocabulary import Outcome
from tests.integration.faults.shop import POOL, SKU, lasting, scene, selling, until_shown

CROWD = 6 * POOL


@pytest.fixture
def stack(faulty_stack: StackInfo) -> StackInfo:
    return faulty_stack


def sold_now(where: Scene) -> int:
    """By the stock row, which can be read whoever has locked it."""
    with postgres_session(where.database_url) as session:
        row = session.execute("SELECT seq FROM stock WHERE sale_id = %s AND sku = %s", [where.sale_id, SKU]).fetchone()
    assert row is not None
    return int(row["seq"])


@pytest.mark.parametrize("name", ["postgres_row_lock", "postgres_pool"])
def test_nothing_is_sold_while_a_lock_is_held_and_sales_go_on_when_it_is_not(stack: StackInfo, name: str) -> None:
    with selling(stack, "row_lock", CROWD) as shop:
        where = scene(stack, shop.sale_id)
        with lasting(name, where):
            before = sold_now(where)
            tries = len(shop.outcomes)
            until_shown(lambda: "nobody was served for a while" if len(shop.outcomes) > tries else None)
            assert sold_now(where) == before
        shop.sells()


def test_an_exhausted_pool_is_seen_by_all_of_its_connections_waiting(stack: StackInfo) -> None:
    with (
        selling(stack, "row_lock", CROWD) as shop,
        lasting("postgres_pool", scene(stack, shop.sale_id), share=1.0) as shown,
    ):
        assert f"{POOL} of the {POOL} connections of worker" in shown or f"{2 * POOL} of the {2 * POOL}" in shown


def test_a_lock_that_nobody_wants_does_not_bite(stack: StackInfo) -> None:
    with selling(stack, "row_lock") as shop:
        where = scene(stack, shop.sale_id)
    for name in ("postgres_row_lock", "postgres_pool"):
        fault = fault_class(name)(where)
        fault.inject()
        assert fault.bite() is None
        fault.heal()
        assert fault.healed()


def test_a_sale_that_is_not_there_has_no_row_to_lock(stack: StackInfo) -> None:
    fault = fault_class("postgres_row_lock")(scene(stack, "00000000-0000-0000-0000-000000000000"))
    with pytest.raises(FaultError, match="not there"):
        fault.inject()
    fault.heal()
    assert fault.healed()


def test_terminated_sessions_are_gone_and_made_anew(stack: StackInfo) -> None:
    with selling(stack, "row_lock") as shop:
        with lasting("postgres_terminate", scene(stack, shop.sale_id)) as shown:
            assert "sessions that the app had are gone" in shown
        shop.sells()


def test_a_stopped_postgres_refuses_connections_and_comes_back_with_what_was_committed(stack: StackInfo) -> None:
    with selling(stack, "row_lock") as shop:
        where = scene(stack, shop.sale_id)
        with lasting("postgres_stop", where):
            sold = shop.outcomes.count(Outcome.SOLD)
            with pytest.raises(psycopg.OperationalError):
                sold_now(where)
        assert sold_now(where) >= sold
        shop.sells()
