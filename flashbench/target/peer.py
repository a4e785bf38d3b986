"""A service of somebody else's as the target, spoken to as its target file says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from flashbench.errors import UsageError
from flashbench.evidence.documents import SaleSpec, StoreReading
from flashbench.target.contract import Request
from flashbench.target.http import HttpCaller, TargetSilentError, reason
from flashbench.target.protocol import LedgerRow, OpenedSale
from flashbench.target.target_file import SeedTemplate, TargetFile, TemplateContract, at, parsed, whole

STATED = ("order_id", "sku", "quantity", "user_id", "key")
SQL_LIMIT_S = 30


class PeerTarget(HttpCaller):
    """The Target protocol over a target file. ``database_url`` is read by its SQL, if it has any.

    Orders that the service had before the sale was opened are none of this sale's.
    """

    def __init__(
        self,
        base_url: str,
        target: TargetFile,
        database_url: str | None,
        *,
        timeout_s: float = 5.0,
        connections: int = 64,
    ) -> None:
        """UsageError if the URL is none, or if SQL has nowhere to go."""
        target.require_database(database_url)
        self._names: dict[str, str] = {}
        contract = TemplateContract(target, self._names)
        super().__init__(base_url, contract, timeout_s=timeout_s, connections=connections)
        self._target, self._database_url = target, database_url
        self._initial: dict[str, int] = {}
        self._earlier: frozenset[str] = frozenset()

    def check(self) -> None:
        """UsageError unless something answers there."""
        try:
            self._client.get("/")
        except httpx.HTTPError as error:
            raise UsageError(f"nothing usable answers at {self.base_url} ({reason(error)}): check --host.") from error

    def open(self, sale: SaleSpec) -> OpenedSale:
        """Seed the service; UsageError with one sentence if it won't be."""
        if self._target.skus and len(self._target.skus) < len(sale.items):
            raise UsageError(
                f"{self._target.name} names {len(self._target.skus)} SKUs, and the sale has {len(sale.items)}:"
                " give fewer with --skus."
            )
        sale_id = secrets.token_hex(8)
        self._initial = {item.sku: item.stock for item in sale.items}
        self._name(sale, sale_id)
        for seed in self._target.seed:
            for item in sale.items if seed.each == "sku" else sale.items[:1]:
                values = {"sku": self._names[item.sku], "stock": item.stock, "price": item.price}
                sale_id = self._seed(seed, {"sale_id": sale_id, **values}) or sale_id
            self._name(sale, sale_id)
        try:
            self._earlier = (
                frozenset(row.order_id for row in self.ledger(sale_id)) if self._target.ledger else frozenset()
            )
        except TargetSilentError as error:
            raise UsageError(
                f"the orders of {self._target.name} can't be read ({error}): check its [ledger]."
            ) from error
        return OpenedSale(sale_id, None)

    def ledger(self, sale_id: str) -> Iterator[LedgerRow]:
        """Every order of the sale; TargetSilentError if they can't be read, or lack what an order must state."""
        own = {theirs: ours for ours, theirs in self._names.items()}
        for row in self._orders(sale_id):
            order_id, sku = str(row["order_id"]), str(row["sku"])
            quantity = whole(row["quantity"])
            if quantity is None:
                raise TargetSilentError(f"the order {order_id} states no quantity")
            if order_id not in self._earlier:
                user_id, key = self._user_id(row["user_id"]), str(row["key"])
                yield LedgerRow(order_id, own.get(sku, sku), quantity, user_id, key, None, None, None, None)

    def stock(self, sale_id: str) -> tuple[StoreReading, ...]:
        """Every SKU; what remains is null if the target file does not say where it stands."""
        sold = dict.fromkeys(self._names, 0)
        for row in self.ledger(sale_id) if self._target.ledger is not None else ():
            if row.sku in sold:
                sold[row.sku] += row.quantity
        return tuple(
            StoreReading(sku=sku, initial=self._initial[sku], sold=sold[sku], postgres_remaining=remaining)
            for sku, remaining in self._remaining(sale_id).items()
        )

    def in_flight(self) -> int | None:
        """Nobody knows; that nothing is, follows from the time that the service is left alone."""
        return 0

    @property
    def states_ledger(self) -> bool:
        """Whether the target file says where the orders stand."""
        return self._target.ledger is not None

    def _user_id(self, stated: Any) -> str:
        """Our name of a user; empty if a purchase does not say who buys."""
        sent = self._target.purchase.names()
        if "user_id" in sent:
            return str(stated)
        return f"u{stated}" if "user" in sent else ""

    def _name(self, sale: SaleSpec, sale_id: str) -> None:
        """The service's names of the sale's SKUs."""
        self._names.update({item.sku: self._target.sku_of(n, item.sku, sale_id) for n, item in enumerate(sale.items)})

    def _seed(self, seed: SeedTemplate, values: Mapping[str, Any]) -> str | None:
        """Send it; the service's own id of the sale, if the answer states one."""
        try:
            response = self._send(seed.filled(values), timeout=30.0)
        except httpx.HTTPError as error:
            raise UsageError(f"{self._target.name} could not be seeded ({reason(error)}): check --host.") from error
        if response.status_code not in seed.expect:
            raise UsageError(
                f"{self._target.name} would not be seeded: {seed.method} {response.request.url.path} gave status"
                f" {response.status_code}."
            )
        if seed.sale_id is None:
            return None
        found = at(parsed(response.text), seed.sale_id)
        if found is None:
            raise UsageError(
                f"the answer of {self._target.name} states no sale at {seed.sale_id!r}: check its [[seed]]."
            )
        return str(found)

    def _remaining(self, sale_id: str) -> dict[str, int | None]:
        source = self._target.stock
        if source is None:
            return dict.fromkeys(self._names)
        if source.sql is not None:
            rows = {str(row["sku"]): whole(row["remaining"]) for row in self._query(source.sql, sale_id, "remaining")}
            return {ours: rows.get(theirs) for ours, theirs in self._names.items()}
        assert source.request is not None
        found: dict[str, int | None] = {}
        for ours, theirs in self._names.items():
            document = self._document(source.request.filled({"sale_id": sale_id, "sku": theirs}))
            found[ours] = whole(at(document, source.request.remaining))
            if found[ours] is None:
                raise TargetSilentError(f"the stock of {theirs} does not stand at {source.request.remaining!r}")
        return found

    def _orders(self, sale_id: str) -> Iterator[Mapping[str, Any]]:
        source = self._target.ledger
        if source is None:
            raise TargetSilentError(f"{self._target.name} has no [ledger] in its target file")
        if source.sql is not None:
            yield from self._query(source.sql, sale_id, *STATED)
            return
        assert source.request is not None
        answer = self._answer(source.request.filled({"sale_id": sale_id}))
        document = parsed(answer)
        rows = at(document, source.request.rows) if document is not None else _lines(answer)
        if not isinstance(rows, list):
            raise TargetSilentError(f"there is no list of orders at {source.request.rows or 'the top'!r} of the answer")
        for row in rows:
            found = {name: at(row, source.request.columns.get(name, name)) for name in STATED}
            missing = [name for name, value in found.items() if value is None]
            if missing:
                raise TargetSilentError(
                    f"an order states no {missing[0]}: say where it stands in [ledger.request.columns]"
                )
            yield found

    def _query(self, sql: str, sale_id: str, *columns: str) -> Iterator[Mapping[str, Any]]:
        assert self._database_url is not None
        try:
            with psycopg.connect(
                self._database_url,
                autocommit=True,
                connect_timeout=5,
                row_factory=dict_row,
                options=f"-c default_transaction_read_only=on -c statement_timeout={SQL_LIMIT_S * 1000}",
            ) as connection:
                rows = connection.execute(
                    sql.encode(), {"sale_id": sale_id} if "%(sale_id)s" in sql else None
                ).fetchall()
        except (psycopg.Error, OSError) as error:
            raise TargetSilentError(" ".join(str(error).split())) from error
        for row in rows:
            missing = [name for name in columns if row.get(name) is None]
            if missing:
                raise TargetSilentError(f"the SQL gives no {missing[0]}")
            yield row

    def _document(self, request: Request) -> Any:
        return parsed(self._answer(request))

    def _answer(self, request: Request) -> str:
        try:
            return self._send(request, timeout=30.0).raise_for_status().text
        except httpx.HTTPError as error:
            raise TargetSilentError(f"{request.method} {request.path}: {reason(error)}") from error


def _lines(text: str) -> list[Any] | None:
    """NDJSON; None if a line is none."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return None
