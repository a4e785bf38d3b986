"""A target file: what it may say, how it reads answers, and what is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flashbench.catalogue import ROOT
from flashbench.errors import UsageError
from flashbench.target.protocol import PurchaseOrder
from flashbench.target.target_file import TargetFile, TemplateContract, read_target
from flashbench.vocabulary import Outcome

EXAMPLE = ROOT / "examples" / "node-service" / "target.toml"

SMALL = """
name = "shop"
[purchase]
path = "/buy/${sku}?key=${key}"
body = '{"count": ${quantity}, "who": "${user_id}"}'
headers = { X-Key = "${key}" }
[[purchase.outcomes]]
outcome = "sold"
status = [200]
json = { "result.ok" = true }
order_id = "result.order.id"
remaining = "result.left"
[[purchase.outcomes]]
outcome = "sold_out"
contains = "no stock"
[[purchase.outcomes]]
outcome = "failed"
status = [400, 503]
"""


def parsed(tmp_path: Path, text: str) -> TargetFile:
    path = tmp_path / "target.toml"
    path.write_text(text)
    return read_target(path)


def contract(tmp_path: Path, text: str = SMALL) -> TemplateContract:
    return TemplateContract(parsed(tmp_path, text), {"sku-1": "Pear / 1"})


def classify(tmp_path: Path, status: int, body: str) -> tuple[Outcome, str | None, int | None]:
    answer = contract(tmp_path).classify_purchase(status, lambda _: None, body.encode())
    return answer.outcome, answer.order_id, answer.remaining


def test_names_are_filled_in_and_escaped_in_the_path(tmp_path: Path) -> None:
    order = PurchaseOrder("sale", "sku-1", 2, 7, bytes(16))
    request = contract(tmp_path).purchase_request(order)
    assert (request.method, request.path) == ("POST", f"/buy/Pear%20%2F%201?key={'00' * 16}")
    assert json.loads(request.body) == {"count": 2, "who": "u7"}
    assert request.headers == {"X-Key": "00" * 16}


def test_a_doubled_dollar_stands_for_itself(tmp_path: Path) -> None:
    order = PurchaseOrder("sale", "sku-1", 2, 7, bytes(16))
    request = contract(tmp_path, SMALL.replace('"who"', '"in $$user"')).purchase_request(order)
    assert json.loads(request.body) == {"count": 2, "in $user": "u7"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, '{"result": {"ok": true, "order": {"id": 17}, "left": "4"}}', (Outcome.SOLD, "17", 4)),
        (200, '{"result": {"ok": false}, "why": "no stock"}', (Outcome.SOLD_OUT, None, None)),
        (410, "no stock", (Outcome.SOLD_OUT, None, None)),
        (503, "", (Outcome.FAILED, None, None)),
        (500, "", (Outcome.UNKNOWN, None, None)),
        (200, "<html>", (Outcome.UNKNOWN, None, None)),
        (200, '{"result": [true]}', (Outcome.UNKNOWN, None, None)),
        (200, "\xff\xfe", (Outcome.UNKNOWN, None, None)),
    ],
)
def test_the_first_rule_that_fits_decides_and_what_fits_none_is_unknown(
    tmp_path: Path, status: int, body: str, expected: tuple[Outcome, str | None, int | None]
) -> None:
    assert classify(tmp_path, status, body) == expected


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("${sku}?", "${skuu}?", r"the purchase request has \$\{skuu\}: the nearest is 'sku'"),
        ('outcome = "failed"', 'outcome = "fialed"', "purchase.outcomes.2.outcome"),
        ("[purchase]", "[purchases]", "purchase.path: field required"),
        ('name = "shop"', 'name = "my shop!"', "name: string should match"),
        ('name = "shop"', 'name = "shop"\nsettle_s = -1', "settle_s"),
        ('name = "shop"', 'name = "shop"\nsku = "${product}"', "sku has"),
        ('name = "shop"', 'name = "shop"\n[ledger]', "ledger: give either"),
        ('"count"', '"$5"', r"a \$ that stands for itself must be written \$\$"),
        ("[purchase]", "[purchase", "not valid TOML"),
        ("[purchase]", '[purchase]\nmethod = "GET"', "purchase.method: input should be 'POST'"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refusal:
        parsed(tmp_path, SMALL.replace(before, after, 1))
    assert "target.toml" in str(refusal.value)
    assert str(refusal.value).endswith(".")


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_target(tmp_path / "none.toml")


def test_names_of_products_are_listed_or_made(tmp_path: Path) -> None:
    listed = parsed(tmp_path, 'skus = ["1001", "1002"]\n' + SMALL)
    made = parsed(tmp_path, 'sku = "${sku}-${sale_id}"\n' + SMALL)
    assert [listed.sku_of(0, "sku-1", "s"), made.sku_of(0, "sku-1", "s")] == ["1001", "sku-1-s"]


def test_the_example_is_valid() -> None:
    example = read_target(EXAMPLE)
    assert example.purchase.idempotent
    assert not example.needs_database
