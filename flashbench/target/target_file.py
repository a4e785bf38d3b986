"""``target.toml``: how a service of somebody else's is seeded, bought from and read. Pure: nothing is sent here.

A request's path, headers and body may hold ``${name}``; which names there are depends on the request. An answer is read
by the first rule that fits it; one that fits none is ``unknown``, which never makes a wrong answer right.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from flashbench.catalogue import nearest
from flashbench.errors import UsageError
from flashbench.evidence.documents import Document
from flashbench.evidence.records import CacheState
from flashbench.target.contract import ORDER_ID_BYTES, Headers, Request, retry_after
from flashbench.target.protocol import Answer, ProductReading, PurchaseOrder
from flashbench.vocabulary import Outcome

OF_A_SALE = frozenset({"sale_id"})
OF_A_NAME = OF_A_SALE | {"sku"}
OF_A_SKU = OF_A_SALE | {"sku", "stock", "price"}
OF_A_PURCHASE = OF_A_SALE | {"sku", "quantity", "user_id", "user", "key"}

Statuses = tuple[Annotated[int, Field(ge=100, le=599)], ...]


class RequestTemplate(Document):
    """One request. ``headers`` and ``body`` are sent as they stand, once the names in them are filled in; $$ is a $."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str
    headers: Mapping[str, str] = Field(default_factory=dict)
    body: str = ""

    def filled(self, values: Mapping[str, Any]) -> Request:
        """The request with its names filled in; in the path they are escaped."""
        escaped = {name: quote(str(value), safe="") for name, value in values.items()}
        headers = {name: Template(text).substitute(values) for name, text in self.headers.items()}
        path = Template(self.path).substitute(escaped)
        return Request(path, headers, Template(self.body).substitute(values).encode(), self.method)

    def names(self) -> set[str]:
        """All names in it."""
        return {name for text in (self.path, self.body, *self.headers.values()) for name in _names(text)}


class OutcomeRule(Document):
    """An answer with one of these statuses, this text in its body and these JSON values means ``outcome``.

    ``json`` maps places in the body (``order.id``, ``items.0``) to values. The other fields say where to look for what
    a sale states.
    """

    outcome: Outcome
    status: Statuses = ()
    contains: str = ""
    json_values: Annotated[dict[str, str | int | float | bool | None], Field(alias="json", default_factory=dict)]
    order_id: str | None = None
    remaining: str | None = None

    def fits(self, status: int, text: str, document: Any) -> bool:
        """Whether the rule speaks of this answer."""
        return (
            (not self.status or status in self.status)
            and self.contains in text
            and all(at(document, place) == value for place, value in self.json_values.items())
        )


class PurchaseTemplate(RequestTemplate):
    """The purchase and how its answers are read. ``idempotent``: a repeated key has no second effect.

    It can't be a GET, which is safe by definition (RFC 9110, section 9.2.1) and sent again by whoever carries it.
    """

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    idempotent: bool = False
    outcomes: Annotated[tuple[OutcomeRule, ...], Field(min_length=1)]


class SeedTemplate(RequestTemplate):
    """A request that prepares a sale, once per SKU or once in all; ``expect`` are the statuses that mean done.

    ``sale_id``: where the service's own id of the sale stands in the answer; from then on it is ``${sale_id}``.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    each: Literal["sku", "sale"] = "sku"
    expect: Statuses = (200, 201, 202, 204)
    sale_id: str | None = None


class ReadTemplate(RequestTemplate):
    """A product read; ``remaining`` is where its stock stands in the answer."""

    remaining: str


class StockSource(Document):
    """What remains of a SKU: by a request for each, or by SQL with columns ``sku`` and ``remaining``."""

    request: ReadTemplate | None = None
    sql: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self.request, self.sql)
        return self


class LedgerRequest(RequestTemplate):
    """All orders in one answer: a JSON array at ``rows`` (the whole body by default), or a line each (NDJSON)."""

    rows: str = ""
    columns: Mapping[str, str] = Field(
        default_factory=dict
    )  # where each of order_id, sku, quantity, user_id and key stands in a row


class LedgerSource(Document):
    """The orders: by one request, or by SQL with columns ``order_id``, ``sku``, ``quantity``, ``user_id``, ``key``."""

    request: LedgerRequest | None = None
    sql: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _exactly_one(self.request, self.sql)
        return self


class TargetFile(Document):
    """A service as a target. ``sku`` makes its name of a SKU from ours; ``skus`` lists its names where they are fixed.

    ``settle_s``: after that long without a request nothing goes on in it any more.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
    settle_s: Annotated[float, Field(ge=0, le=600)] = 2.0
    sku: str = "${sku}"
    skus: tuple[str, ...] = ()
    seed: tuple[SeedTemplate, ...] = ()
    purchase: PurchaseTemplate
    read: ReadTemplate | None = None
    stock: StockSource | None = None
    ledger: LedgerSource | None = None

    @model_validator(mode="after")
    def _only_known_names(self) -> Self:
        found = [(f"seed {number}", each, OF_A_SKU) for number, each in enumerate(self.seed, start=1)]
        requests: list[tuple[str, RequestTemplate | None, frozenset[str]]] = [
            *found,
            ("purchase", self.purchase, OF_A_PURCHASE),
            ("read", self.read, OF_A_NAME),
            ("stock", self.stock.request if self.stock else None, OF_A_NAME),
            ("ledger", self.ledger.request if self.ledger else None, OF_A_SALE),
        ]
        for name in sorted(set(_names(self.sku)) - OF_A_NAME):
            raise ValueError(f"sku has ${{{name}}}: {nearest(name, OF_A_NAME)}")
        for which, request, known in requests:
            for name in sorted(request.names() - known) if request is not None else ():
                raise ValueError(f"the {which} request has ${{{name}}}: {nearest(name, known)}")
        return self

    @property
    def needs_database(self) -> bool:
        """Whether anything is read by SQL."""
        return any(source is not None and source.sql for source in (self.stock, self.ledger))

    def require_database(self, url: str | None) -> None:
        """UsageError if something is read by SQL and there is no database to send it to."""
        if self.needs_database and not url:
            raise UsageError(f"{self.name} is read by SQL: give --database-url.")

    def sku_of(self, number: int, name: str, sale_id: str) -> str:
        """The service's own name of the sale's SKU."""
        return self.skus[number] if self.skus else Template(self.sku).substitute(sku=name, sale_id=sale_id)


class TemplateContract:
    """Purchases and reads of a trial in the words of a target file."""

    def __init__(self, target: TargetFile, skus: Mapping[str, str]) -> None:
        """``skus`` maps the sale's SKUs to the service's own."""
        self._target, self._skus = target, skus

    def purchase_request(self, order: PurchaseOrder) -> Request:
        """The request for one try."""
        return self._target.purchase.filled(
            {
                "sale_id": order.sale_id,
                "sku": self._skus[order.sku],
                "quantity": order.quantity,
                "user_id": order.user_id,
                "user": order.user,
                "key": order.key.hex(),
            }
        )

    def classify_purchase(self, status: int, header: Headers, body: bytes) -> Answer:
        """What a complete answer says; ``unknown`` if no rule fits it."""
        text = body.decode(errors="replace")
        document = parsed(text)
        for rule in self._target.purchase.outcomes:
            if rule.fits(status, text, document):
                order_id = at(document, rule.order_id) if rule.order_id else None
                remaining = at(document, rule.remaining) if rule.remaining else None
                return Answer(
                    rule.outcome,
                    status,
                    str(order_id)[:ORDER_ID_BYTES] if order_id is not None else None,
                    whole(remaining),
                    retry_after_s=retry_after(header),
                )
        return Answer(Outcome.UNKNOWN, status)

    def product_request(self, sale_id: str, sku: str) -> Request:
        """The request for one read; UsageError if the target file has none."""
        if self._target.read is None:
            raise UsageError(f"{self._target.name} says nothing of reads: add [read] to its target file.")
        return self._target.read.filled({"sale_id": sale_id, "sku": self._skus[sku]})

    def classify_product(self, status: int, header: Headers, body: bytes) -> ProductReading:
        """What a complete answer to a read says."""
        assert self._target.read is not None
        found = at(parsed(body.decode(errors="replace")), self._target.read.remaining) if status == 200 else None
        return ProductReading(status, CacheState.OTHER, remaining=whole(found))

    @property
    def retries(self) -> bool:
        """Whether a try of which nobody knows what became may be sent again."""
        return self._target.purchase.idempotent


def read_target(path: Path) -> TargetFile:
    """Parse and check a target file; UsageError with one sentence that names the file and what is wrong."""
    try:
        text = path.read_text()
    except OSError as error:
        raise UsageError(f"the target file {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file.") from None
    try:
        return TargetFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise UsageError(f"{path}{f', {place}' if place else ''}: {words[:1].lower()}{words[1:]}.") from None


def parsed(text: str) -> Any:
    """The JSON in a body, None if there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def at(document: Any, place: str) -> Any:
    """The value at a dotted place; None if there is nothing. The empty place is the document.

    >>> at({"order": {"ids": [7, 8]}}, "order.ids.1"), at({"order": None}, "order.id")
    (8, None)
    """
    for part in place.split(".") if place else ():
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return None
    return document


def whole(value: Any) -> int | None:
    """A whole number, also one that is written as text; None for anything else.

    >>> whole("12"), whole(12.0), whole(True), whole("a dozen")
    (12, 12, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(value) if number.is_integer() and abs(number) < 2**53 else None


def _names(text: str) -> list[str]:
    """Those that are filled in; ValueError if a dollar is neither doubled nor begins a name."""
    template = Template(text)
    if not template.is_valid():
        raise ValueError(f"a $ that stands for itself must be written $$, in {text!r}")
    return template.get_identifiers()


def _exactly_one(*ways: object) -> None:
    if sum(way is not None for way in ways) != 1:
        raise ValueError("give either `request` or `sql`")
