"""A sale with buyers who never tire, and what a fault does to it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from benchmarks.fault import Scene, fault_class, scene_words
from flashbench.evidence.documents import SaleItem, SaleSpec
from flashbench.services import StackInfo
from flashbench.target.http import HttpTarget
from flashbench.target.protocol import PurchaseOrder
from flashbench.vocabulary import Outcome

SKU = "hot"
STOCK = 1_000_000
POOL = 3  # connections a worker, so that few buyers are enough to need them all
LIMIT_S = 20.0


def until_shown(look: Callable[[], str | None], limit_s: float = LIMIT_S) -> str:
    """What is shown at last; AssertionError past the limit."""
    deadline_s = time.monotonic() + limit_s
    while (shown := look()) is None:
        assert time.monotonic() < deadline_s, "nothing shows it"
        time.sleep(0.02)
    return shown


class Shop:
    """Buyers on one hot product, each with one purchase at a time, over connections that stand."""

    def __init__(self, target: HttpTarget, strategy: str, buyers: int) -> None:
        self._target = target
        sale = SaleSpec(strategy=strategy, items=(SaleItem(sku=SKU, stock=STOCK),))
        self.sale_id = target.open(sale).sale_id
        self.outcomes: list[Outcome] = []
        self._numbers = count()
        self._closed = threading.Event()
        self._buyers = [threading.Thread(target=self._buy) for _ in range(buyers)]
        for buyer in self._buyers:
            buyer.start()

    def sells(self) -> None:
        """Wait until a purchase that begins from now on is sold."""
        before = self.outcomes.count(Outcome.SOLD) + len(self._buyers)
        until_shown(lambda: "sold" if self.outcomes.count(Outcome.SOLD) > before else None)

    def close(self) -> None:
        self._closed.set()
        for buyer in self._buyers:
            buyer.join()

    def _buy(self) -> None:
        while not self._closed.is_set():
            order = PurchaseOrder(self.sale_id, SKU, 1, next(self._numbers), secrets.token_bytes(16))
            self.outcomes.append(self._target.buy(order).outcome)


@contextmanager
def selling(stack: StackInfo, strategy: str = "redis_lua", buyers: int = 4) -> Iterator[Shop]:
    """A shop that sells, until the end of the block."""
    assert stack.base_url is not None
    with HttpTarget(stack.base_url, stack.admin_token, timeout_s=10, connections=buyers) as target:
        shop = Shop(target, strategy, buyers)
        try:
            shop.sells()
            yield shop
        finally:
            shop.close()


def scene(stack: StackInfo, sale_id: str = "") -> Scene:
    """What faults are given by their process."""
    addresses = (stack.control, stack.redis_url, stack.database_url)
    return Scene(*addresses, **json.loads(scene_words(stack)), sale_id=sale_id, skus=(SKU,))


@contextmanager
def lasting(name: str, where: Scene, **options: Any) -> Iterator[str]:
    """A fault from its bite until the end of the block; then it must be seen to be healed. What showed its bite."""
    fault = fault_class(name)(where, options)
    fault.prepare()
    assert fault.bite() is None, "it would be believed to be there before it is"
    try:
        fault.inject()
        yield until_shown(fault.bite)
    finally:
        fault.heal()

        def healed() -> str | None:
            shown = fault.healed()
            if shown is None:
                fault.heal()
            return shown

        until_shown(healed)
