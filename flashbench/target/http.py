"""A target that is reached over HTTP: the reference app, or any service that keeps the same contract."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from flashbench.errors import UsageError
from flashbench.evidence.documents import CounterDeclaration, SaleSpec, StoreReading
from flashbench.target.contract import Contract, ReferenceContract, Request
from flashbench.target.protocol import Answer, LedgerRow, OpenedSale, ProductReading, PurchaseOrder
from flashbench.vocabulary import Outcome

# The request never left: no connection was made, so it provably had no effect.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class TargetSilentError(Exception):
    """An admin call got no usable answer; the text says which and why."""


class TargetGoneError(TargetSilentError):
    """It got no answer at all."""


@dataclass(frozen=True, slots=True)
class OfferedStrategy:
    """One entry of the target's catalogue; ``source`` is ``/absolute/path.py:Class`` for a plug-in."""

    name: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What the target says it can do; ``longest_timer_s`` is its longest lease, reaper or statement timer."""

    strategies: tuple[OfferedStrategy, ...]
    longest_timer_s: float

    def registered_name(self, name: str, plugin: str | None) -> str | None:
        """The name under which the target knows a contender: by its source if it has one, else by name."""
        for offered in self.strategies:
            if plugin is not None and offered.source == plugin:
                return offered.name
        return name if any(offered.name == name for offered in self.strategies) else None


class HttpCaller:
    """Purchases and reads over HTTP/1.1, by a contract. Works in plain threads and under gevent.

    ``timeout_s`` bounds each wait for bytes of a call. UsageError if the URL is none.
    """

    def __init__(self, base_url: str, contract: Contract, *, timeout_s: float, connections: int) -> None:
        self.base_url = checked_url(base_url)
        self._contract = contract
        self._client = httpx.Client(
            base_url=self.base_url,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 3.0)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # buyers are strangers to each other
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def buy(self, order: PurchaseOrder) -> Answer:
        try:
            response = self._send(self._contract.purchase_request(order))
        except _NOT_SENT:
            return Answer(Outcome.FAILED)
        except httpx.HTTPError:
            return Answer(Outcome.UNKNOWN)
        return self._contract.classify_purchase(response.status_code, response.headers.get, response.content)

    def read(self, sale_id: str, sku: str) -> ProductReading:
        try:
            response = self._send(self._contract.product_request(sale_id, sku))
        except httpx.HTTPError:
            return ProductReading(0)
        return self._contract.classify_product(response.status_code, response.headers.get, response.content)

    def _send(self, request: Request, timeout: float | None = None) -> httpx.Response:
        return self._client.request(
            request.method,
            request.path,
            headers=request.headers,
            content=request.body or None,
            timeout=self._client.timeout if timeout is None else timeout,
        )


class HttpTarget(HttpCaller):
    """The Target protocol in the contract of the reference app."""

    def __init__(self, base_url: str, admin_token: str, *, timeout_s: float = 5.0, connections: int = 64) -> None:
        super().__init__(base_url, ReferenceContract(), timeout_s=timeout_s, connections=connections)
        self._admin = {"Authorization": f"Bearer {admin_token}"} if admin_token else {}

    def offer(self) -> Offer:
        """The target's catalogue; UsageError if nothing answers there, or something that is not a target."""
        elsewhere = f"{self.base_url} answers, but not as a flash-sale target does (GET /strategies): check --host."
        try:
            response = self._client.get("/strategies", headers=self._admin)
        except httpx.HTTPError as error:
            raise UsageError(f"nothing usable answers at {self.base_url} ({reason(error)}): check --host.") from error
        try:
            document = response.raise_for_status().json()
            strategies = tuple(OfferedStrategy(each["name"], each.get("source")) for each in document["strategies"])
            longest_timer_s = float(document["longest_timer_s"])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(elsewhere) from error
        if not math.isfinite(longest_timer_s) or not all(isinstance(each.name, str) for each in strategies):
            raise UsageError(elsewhere)
        return Offer(strategies, longest_timer_s)

    def check_token(self) -> None:
        """UsageError unless the target accepts the admin token. Asks for a sale that can't exist."""
        try:
            response = self._client.get("/sales/00000000-0000-0000-0000-000000000000/stock", headers=self._admin)
        except httpx.HTTPError as error:
            raise UsageError(f"{self.base_url} stopped answering ({reason(error)}).") from error
        if response.status_code in (401, 403):
            raise UsageError(
                f"{self.base_url} refuses the admin token: give the right one with --admin-token"
                " or FLASHBENCH_ADMIN_TOKEN."
            )

    def open(self, sale: SaleSpec) -> OpenedSale:
        """Create the sale; UsageError with one sentence if the target won't."""
        body = sale.model_dump(mode="json")
        try:
            response = self._client.post("/sales", json=body, headers=self._admin, timeout=30.0)
        except httpx.HTTPError as error:
            raise UsageError(f"the sale could not be opened at {self.base_url} ({reason(error)}).") from error
        if response.status_code in (401, 403):
            self.check_token()
        try:
            document = response.json()
            if response.status_code == 201:
                counter, lock_keys = document.get("counter"), document.get("lock_keys")
                return OpenedSale(
                    str(document["sale_id"]),
                    None if counter is None else CounterDeclaration.model_validate(counter),
                    tuple(map(str, lock_keys)) if isinstance(lock_keys, list) else (),
                )
            detail = str(document.get("detail") or document.get("title") or "no reason given")
        except (ValueError, KeyError, TypeError, AttributeError):
            detail = "an answer that is not the contract's"
        raise UsageError(f"{self.base_url} would not open the sale: status {response.status_code}, {detail}.")

    def ledger(self, sale_id: str) -> Iterator[LedgerRow]:
        """Every order, streamed; TargetSilentError if the stream breaks or is not the contract's."""
        fields = LedgerRow.__slots__
        for row in self._rows(f"/sales/{sale_id}/ledger"):
            try:
                yield LedgerRow(**{field: row[field] for field in fields})
            except KeyError as error:
                raise TargetSilentError(f"a row of /ledger has no field {error}") from error

    def stock(self, sale_id: str) -> tuple[StoreReading, ...]:
        """Every SKU; TargetSilentError as for the ledger."""
        try:
            return tuple(StoreReading.model_validate(row) for row in self._rows(f"/sales/{sale_id}/stock"))
        except ValueError as error:
            raise TargetSilentError("a row of /stock is not the contract's") from error

    @property
    def states_ledger(self) -> bool:
        """By the contract."""
        return True

    def in_flight(self) -> int | None:
        """Purchases in flight over all workers, as the target counts them; None if it states no such figure.

        TargetSilentError if it is not told, TargetGoneError if nobody answers.
        """
        try:
            response = self._client.get("/metrics").raise_for_status()
        except httpx.TransportError as error:
            raise TargetGoneError(f"GET /metrics: {reason(error)}") from error
        except httpx.HTTPError as error:
            raise TargetSilentError(f"GET /metrics: {reason(error)}") from error
        figures = [
            float(line.rsplit(" ", 1)[1])
            for line in response.text.splitlines()
            if line.startswith("target_app_in_flight") and line[20:21] in (" ", "{")
        ]
        return round(sum(figures)) if figures else None

    def _rows(self, path: str) -> Iterator[dict[str, Any]]:
        try:
            with self._client.stream("GET", path, headers=self._admin, timeout=30.0) as response:
                response.raise_for_status()
                for line in response.iter_lines():
                    if line.strip():
                        yield json.loads(line)
        except (httpx.HTTPError, ValueError) as error:
            raise TargetSilentError(f"GET {path}: {reason(error)}") from error


def checked_url(text: str) -> str:
    """A base URL without its trailing slash; UsageError unless it is http(s)://host[:port]."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"--host {text!r} is not a URL: write it as http://host:port.")
    return text.rstrip("/")


def reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
