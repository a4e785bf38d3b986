"""The reference app spoken to through a target file, as if it were somebody else's: requests, SQL, and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeAlias

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.documents import SaleItem, SaleSpec
from flashbench.services import Stack, StackInfo, StackRequest
from flashbench.target.http import TargetSilentError
from flashbench.target.peer import PeerTarget
from flashbench.target.protocol import PurchaseOrder
from flashbench.target.target_file import read_target
from flashbench.vocabulary import Outcome

Aimed: TypeAlias = Callable[..., PeerTarget]

FILE = """
name = "reference-app"
[[seed]]
each = "sale"
path = "/sales"
headers = {{ Authorization = "Bearer {token}", Content-Type = "application/json" }}
body = '{{"strategy": "row_lock", "items": [{{"sku": "${{sku}}", "stock": ${{stock}}, "price": ${{price}}}}]}}'
sale_id = "sale_id"
[purchase]
path = "/sales/${{sale_id}}/purchases"
headers = {{ Idempotency-Key = "${{key}}", Content-Type = "application/json" }}
body = '{{"sku": "${{sku}}", "quantity": ${{quantity}}, "user_id": "{user}"}}'
idempotent = true
outcomes = [
  {{ outcome = "sold", status = [200, 201], order_id = "order_id", remaining = "remaining" }},
  {{ outcome = "sold_out", status = [409], contains = "sold-out" }},
]
[read]
path = "/sales/${{sale_id}}/products/${{sku}}"
remaining = "remaining"
[stock]
sql = "SELECT sku, remaining FROM target_app.stock WHERE sale_id = %(sale_id)s"
[ledger]
sql = "{ledger}"
"""
LEDGER = "SELECT order_id, sku, quantity, user_id, key FROM target_app.orders WHERE sale_id::text = %(sale_id)s"


@pytest.fixture(scope="module")
def stack() -> Iterator[StackInfo]:
    """The app as worker processes on stores of its own."""
    with Stack.start(StackRequest(), progress=lambda _: None) as running:
        yield running.info


@pytest.fixture
def aimed(stack: StackInfo, tmp_path: Path) -> Iterator[Aimed]:
    """Targets on the stack, by the file above with another token or other SQL; closed in the end."""
    with ExitStack() as targets:

        def aim(
            ledger: str = LEDGER,
            token: str = stack.admin_token,
            database_url: str | None = stack.database_url,
            user: str = "${user_id}",
        ) -> PeerTarget:
            path = tmp_path / "target.toml"
            path.write_text(FILE.format(token=token, ledger=ledger, user=user))
            assert stack.base_url is not None
            return targets.enter_context(closing(PeerTarget(stack.base_url, read_target(path), database_url)))

        yield aim


def sale(stock: int = 2) -> SaleSpec:
    return SaleSpec(strategy="reference-app", items=(SaleItem(sku="sku-1", stock=stock),))


def test_a_sale_is_seeded_bought_from_and_read_back(aimed: Aimed) -> None:
    target = aimed()
    opened = target.open(sale())
    answers = [target.buy(PurchaseOrder(opened.sale_id, "sku-1", 1, user, bytes([user] * 16))) for user in (1, 2, 3)]
    assert [answer.outcome for answer in answers] == [Outcome.SOLD, Outcome.SOLD, Outcome.SOLD_OUT]
    assert [answer.remaining for answer in answers] == [1, 0, None]
    rows = list(target.ledger(opened.sale_id))
    assert {row.key for row in rows} == {bytes([user] * 16).hex() for user in (1, 2)}
    assert {row.order_id for row in rows} == {answer.order_id for answer in answers[:2]}
    (reading,) = target.stock(opened.sale_id)
    assert (reading.initial, reading.sold, reading.postgres_remaining) == (2, 2, 0)
    assert target.read(opened.sale_id, "sku-1").status == 200


def test_orders_of_an_earlier_sale_are_none_of_this_ones(aimed: Aimed) -> None:
    everything = "SELECT order_id, sku, quantity, user_id, key FROM target_app.orders"
    earlier = aimed()
    first = earlier.open(sale())
    assert earlier.buy(PurchaseOrder(first.sale_id, "sku-1", 1, 1, bytes(16))).outcome is Outcome.SOLD
    later = aimed(everything)
    second = later.open(sale())
    assert later.buy(PurchaseOrder(second.sale_id, "sku-1", 1, 2, bytes([2] * 16))).outcome is Outcome.SOLD
    assert [row.user_id for row in later.ledger(second.sale_id)] == ["u2"]


@pytest.mark.parametrize(("user", "stated"), [("${user_id}", "u7"), ("${user}", "u7"), ("${key}", "")])
def test_a_user_is_told_from_the_ledger_by_what_was_sent_of_him(aimed: Aimed, user: str, stated: str) -> None:
    target = aimed(user=user)
    opened = target.open(sale())
    assert target.buy(PurchaseOrder(opened.sale_id, "sku-1", 1, 7, bytes([7] * 16))).outcome is Outcome.SOLD
    assert [row.user_id for row in target.ledger(opened.sale_id)] == [stated]


def test_sql_that_lacks_a_column_is_a_sentence(aimed: Aimed) -> None:
    target = aimed("SELECT order_id, sku, quantity, user_id FROM target_app.orders")
    opened = aimed().open(sale())
    other = aimed()
    sold = other.open(sale())
    other.buy(PurchaseOrder(sold.sale_id, "sku-1", 1, 1, bytes(16)))
    with pytest.raises(TargetSilentError, match="the SQL gives no key"):
        list(target.ledger(opened.sale_id))
    with pytest.raises(UsageError, match=r"can't be read \(the SQL gives no key\): check its \[ledger\]"):
        target.open(sale())


def test_a_service_that_will_not_be_seeded_is_a_sentence(aimed: Aimed) -> None:
    with pytest.raises(UsageError, match="would not be seeded: POST /sales gave status 401"):
        aimed(token="wrong").open(sale())


def test_sql_needs_a_database(aimed: Aimed) -> None:
    with pytest.raises(UsageError, match="give --database-url"):
        aimed(database_url=None)
