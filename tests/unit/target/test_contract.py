"""If an answer is misread, a sale is lost or invented in the evidence, and the verdict is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashbench.evidence.records import CacheState
from flashbench.target.contract import (
    Headers,
    classify_product,
    classify_purchase,
    product_request,
    purchase_request,
    server_timings,
)
from flashbench.target.protocol import PurchaseOrder, ServerTimings
from flashbench.vocabulary import Outcome

SOLD = {"order_id": "0b54", "sku": "sku-1", "quantity": 1, "remaining": 7, "seq": 93}


def headers(**values: str) -> Headers:
    table = {name.replace("_", "-").lower(): value for name, value in values.items()}
    return lambda name: table.get(name.lower())


def problem(kind: str, **more: object) -> bytes:
    return json.dumps({"type": f"https://example.test/problems/{kind}", "status": 409, **more}).encode()


def test_a_sale_carries_what_the_checks_need() -> None:
    answer = classify_purchase(201, headers(server_timing="app;dur=1.2, redis;dur=0.3"), json.dumps(SOLD).encode())
    assert (answer.outcome, answer.order_id, answer.remaining, answer.seq) == (Outcome.SOLD, "0b54", 7, 93)
    assert not answer.replayed
    assert answer.timings == ServerTimings(1200, 300, -1)


def test_a_replay_is_a_sale_that_says_so() -> None:
    answer = classify_purchase(200, headers(idempotent_replayed="true"), json.dumps(SOLD).encode())
    assert answer.outcome is Outcome.SOLD
    assert answer.replayed


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (409, problem("sold-out"), Outcome.SOLD_OUT),
        (409, problem("purchase-limit"), Outcome.LIMITED),
        (409, problem("in-progress"), Outcome.UNKNOWN),
        (409, problem("something-new"), Outcome.UNKNOWN),
        (409, b"", Outcome.UNKNOWN),
        (503, problem("unavailable", effect="none"), Outcome.FAILED),
        (503, problem("unavailable", effect="some"), Outcome.UNKNOWN),
        (503, problem("unavailable"), Outcome.UNKNOWN),
        (503, b"<html>", Outcome.UNKNOWN),
        (500, problem("bug", effect="none"), Outcome.UNKNOWN),
        (502, b"", Outcome.UNKNOWN),
        (504, b"", Outcome.UNKNOWN),
        (401, b"", Outcome.FAILED),
        (404, problem("not-found"), Outcome.FAILED),
        (422, problem("validation"), Outcome.FAILED),
        (429, b"", Outcome.FAILED),
        (408, b"", Outcome.UNKNOWN),
        (302, b"", Outcome.UNKNOWN),
        (202, json.dumps(SOLD).encode(), Outcome.UNKNOWN),
    ],
)
def test_refusals_and_errors(status: int, body: bytes, outcome: Outcome) -> None:
    answer = classify_purchase(status, headers(retry_after="2"), body)
    assert answer.outcome is outcome
    assert answer.order_id is None
    assert answer.retry_after_s == 2.0


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"order_id": 7}', b'{"order_id": ""}', b"[" * 100_000),
        json.dumps({"order_id": "x" * 41}).encode(),
    ],
)
def test_a_sale_that_can_not_be_read_is_unknown_not_lost(body: bytes) -> None:
    assert classify_purchase(201, headers(), body).outcome is Outcome.UNKNOWN


@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=20))
def test_no_answer_breaks_the_reader_or_invents_a_sale(status: int, body: bytes, text: str) -> None:
    answer = classify_purchase(status, lambda _: text, body)
    if answer.outcome is Outcome.SOLD:
        assert status in (200, 201)
        assert answer.order_id
    if answer.outcome is Outcome.FAILED:
        assert status < 500 or status == 503
    classify_product(status, lambda _: text, body)


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.integers()))
def test_odd_numbers_never_reach_a_record(value: object) -> None:
    answer = classify_purchase(201, headers(), json.dumps({**SOLD, "remaining": value, "seq": value}).encode())
    assert answer.remaining is None or -(2**63) < answer.remaining < 2**63
    assert type(answer.seq) in (int, type(None))


def test_every_try_of_an_attempt_is_the_same_request() -> None:
    order = PurchaseOrder("sale/1", "sku 1", 2, 7, bytes(range(16)))
    request = purchase_request(order)
    assert request == purchase_request(order)
    assert request.path == "/sales/sale%2F1/purchases"
    assert request.headers["Idempotency-Key"] == bytes(range(16)).hex()
    assert json.loads(request.body) == {"sku": "sku 1", "quantity": 2, "user_id": "u7"}


def test_a_product_reading() -> None:
    reading = classify_product(200, headers(x_cache="stale", age="3"), b'{"version": 4, "remaining": 9}')
    assert (reading.cache, reading.age_s, reading.version, reading.remaining) == (CacheState.STALE, 3, 4, 9)
    assert product_request("s", "sku/1").path == "/sales/s/products/sku%2F1"


def test_a_reading_from_a_stranger() -> None:
    reading = classify_product(404, headers(x_cache="frozen", age="-1"), b'{"version": 4}')
    assert (reading.cache, reading.age_s, reading.version) == (CacheState.OTHER, -1, None)


@pytest.mark.parametrize("text", [None, "", "app", "app;dur=x", "app;dur=-1", "app;desc=1", "app;dur=nan", ";;,,"])
def test_server_timings_that_say_nothing(text: str | None) -> None:
    assert server_timings(text) == ServerTimings()
