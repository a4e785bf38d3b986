"""A few purchases of each strategy before the first trial, so that no trial pays for cold pools, plans and imports."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from flashbench.errors import UsageError
from flashbench.evidence.documents import SaleItem, SaleSpec
from flashbench.services import StackInfo
from flashbench.target.http import HttpTarget
from flashbench.target.protocol import PurchaseOrder

PURCHASES = 120
AT_ONCE = 16


def warm_up(stack: StackInfo, strategies: Iterable[str]) -> None:
    """Sell and refuse with every strategy; nothing of it is evidence. UsageError if no purchase gets an answer."""
    assert stack.base_url is not None
    target = HttpTarget(stack.base_url, stack.admin_token)
    try:
        for strategy in strategies:
            sale = SaleSpec(strategy=strategy, items=(SaleItem(sku="warm-up", stock=PURCHASES // 2),))
            sale_id = target.open(sale).sale_id
            orders = [
                PurchaseOrder(sale_id, "warm-up", 1, number, secrets.token_bytes(16)) for number in range(PURCHASES)
            ]
            with ThreadPoolExecutor(AT_ONCE) as buyers:
                answers = list(buyers.map(target.buy, orders))
            if all(answer.status == 0 for answer in answers):
                raise UsageError(
                    f"the app gave no answer to {PURCHASES} purchases by {strategy}: see flashbench doctor."
                )
    finally:
        target.close()
