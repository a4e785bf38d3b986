"""The HTTP contract of a target, as pure functions: what is sent for a purchase, and what an answer means.

Shared by the plain client and by the Locust buyer, so that both read an answer alike. The rule for everything that
is not plainly an answer: a try is ``failed`` only if it provably had no effect, else ``unknown``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from flashbench.evidence.records import CacheState
from flashbench.target.protocol import Answer, ProductReading, PurchaseOrder, ServerTimings
from flashbench.vocabulary import Outcome

Headers: TypeAlias = Callable[[str], str | None]
"""Looks up one response header, whatever the case of its name."""

ORDER_ID_BYTES = 40  # what a record has room for

# A refusal of the request itself, before it could reach the stock. 408, 409 and unheard-of codes are not among them.
WITHOUT_EFFECT = frozenset({400, 401, 403, 404, 405, 406, 411, 413, 414, 415, 422, 428, 429, 431})

_REFUSALS = {"sold-out": Outcome.SOLD_OUT, "purchase-limit": Outcome.LIMITED, "in-progress": Outcome.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


class Contract(Protocol):
    """How a target is spoken to: what is sent, and what an answer means. Nothing here ever raises."""

    @property
    def retries(self) -> bool:
        """Whether a try of which nobody knows what became may be sent again."""

    def purchase_request(self, order: PurchaseOrder) -> Request:
        """The request for one try; all tries of an attempt are byte for byte the same."""

    def classify_purchase(self, status: int, header: Headers, body: bytes) -> Answer:
        """What a complete HTTP answer to a purchase says: what can't be read is ``unknown``."""

    def product_request(self, sale_id: str, sku: str) -> Request:
        """The request for one product read."""

    def classify_product(self, status: int, header: Headers, body: bytes) -> ProductReading:
        """What a complete HTTP answer to a product read says."""


def purchase_request(order: PurchaseOrder) -> Request:
    """The request for one try; all tries of an attempt are byte for byte the same."""
    body = json.dumps({"sku": order.sku, "quantity": order.quantity, "user_id": order.user_id}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": order.key.hex()}
    return Request(f"/sales/{quote(order.sale_id, safe='')}/purchases", headers, body)


def product_request(sale_id: str, sku: str) -> Request:
    """The request for one product read."""
    return Request(f"/sales/{quote(sale_id, safe='')}/products/{quote(sku, safe='')}", {}, b"", "GET")


def classify_purchase(status: int, header: Headers, body: bytes) -> Answer:
    """What a complete HTTP answer to a purchase says. Never raises: what can't be read is ``unknown``."""
    document = _json_object(body)
    timings = server_timings(header("server-timing"))
    retry_after_s = retry_after(header)
    if status in (200, 201):
        return _sold(status, header, document, timings)
    outcome = _refused(status, document)
    return Answer(
        outcome,
        status,
        remaining=_whole(document, "remaining"),
        seq=_whole(document, "seq"),
        retry_after_s=retry_after_s,
        timings=timings,
    )


def classify_product(status: int, header: Headers, body: bytes) -> ProductReading:
    """What a complete HTTP answer to a product read says."""
    try:
        cache = CacheState((header("x-cache") or "").strip().lower())
    except ValueError:
        cache = CacheState.OTHER
    age_text = (header("age") or "").strip()
    document = _json_object(body) if status == 200 else None
    return ProductReading(
        status,
        cache,
        int(age_text) if age_text.isascii() and age_text.isdigit() else -1,
        _whole(document, "version"),
        _whole(document, "remaining"),
        server_timings(header("server-timing")),
    )


class ReferenceContract:
    """The HTTP contract of the reference app."""

    retries = True
    purchase_request = staticmethod(purchase_request)
    classify_purchase = staticmethod(classify_purchase)
    product_request = staticmethod(product_request)
    classify_product = staticmethod(classify_product)


def retry_after(header: Headers) -> float | None:
    """Seconds of Retry-After; None without one, or with a date."""
    return _seconds(header("retry-after"))


def server_timings(text: str | None) -> ServerTimings:
    """Microseconds from ``app;dur=1.2, redis;dur=0.3, postgres;dur=0.8`` (milliseconds); -1 where not stated.

    >>> server_timings("app;dur=1.25, postgres;dur=0.8")
    ServerTimings(server_us=1250, redis_us=-1, postgres_us=800)
    """
    if not text:
        return ServerTimings()
    found = {"app": -1, "redis": -1, "postgres": -1}
    for entry in text.split(","):
        name, _, rest = entry.strip().partition(";")
        if name in found and rest.startswith("dur="):
            milliseconds = _seconds(rest[4:])
            if milliseconds is not None:
                found[name] = min(round(milliseconds * 1000), 2**31 - 1)
    return ServerTimings(found["app"], found["redis"], found["postgres"])


def _sold(status: int, header: Headers, document: dict[str, Any] | None, timings: ServerTimings) -> Answer:
    order_id = (document or {}).get("order_id")
    if not isinstance(order_id, str) or not 0 < len(order_id.encode()) <= ORDER_ID_BYTES:
        return Answer(Outcome.UNKNOWN, status, timings=timings)
    replayed = (header("idempotent-replayed") or "").strip().lower() == "true"
    return Answer(
        Outcome.SOLD,
        status,
        order_id,
        _whole(document, "remaining"),
        _whole(document, "seq"),
        replayed,
        timings=timings,
    )


def _refused(status: int, document: dict[str, Any] | None) -> Outcome:
    if status == 409:
        kind = str((document or {}).get("type", "")).rsplit("/", 1)[-1]
        return _REFUSALS.get(kind, Outcome.UNKNOWN)
    if status == 503:
        return Outcome.FAILED if document is not None and document.get("effect") == "none" else Outcome.UNKNOWN
    return Outcome.FAILED if status in WITHOUT_EFFECT else Outcome.UNKNOWN


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # ValueError: bad JSON and bad UTF-8 alike
        return None
    return document if isinstance(document, dict) else None


def _whole(document: dict[str, Any] | None, field: str) -> int | None:
    value = (document or {}).get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) < value < 2**63 else None


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None
