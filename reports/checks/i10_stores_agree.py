"""I10: Redis and Postgres end with the same stock, and it is the right one."""

from __future__ import annotations

from reports.checks.finding import Finding
from reports.checks.history import History
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "stores agree"


def check(history: History) -> Finding:
    """Per SKU, after the drain: Redis = Postgres = initial − ledger, and nothing held.

    A null in Redis passes only for a strategy that declares no counter there.
    """
    if not history.final or history.ordered is None:
        return Finding.undecided("the stores were not read")
    wrong: list[str] = []
    unread: list[str] = []
    for sku, initial, ordered in zip(history.skus, history.initial, history.ordered, strict=True):
        reading = history.final.get(sku)
        if reading is None:
            unread.append(sku)
            continue
        left = int(initial - ordered)
        if reading.redis_remaining is None and history.trial.counter is not None:
            unread.append(sku)
        for store, stated in ((history.store, reading.postgres_remaining), ("Redis", reading.redis_remaining)):
            if stated is not None and stated != left:
                wrong.append(f"{sku}: {store} says {stated} remain, the ledger leaves {left}")
        if reading.redis_held:
            wrong.append(f"{sku}: {reading.redis_held} units are still held in Redis")
    numbers = {
        "skus": len(history.skus),
        "skus_with_postgres": sum(each.postgres_remaining is not None for each in history.final.values()),
        "skus_with_redis": sum(each.redis_remaining is not None for each in history.final.values()),
        "left_by_ledger": int((history.initial - history.ordered).sum()),
        "disagreements": len(wrong),
    }
    if not history.whole or not history.at_rest:
        why = "the evidence is incomplete" if not history.whole else "the stores did not come to rest"
        return Finding.undecided(f"{why}, so stores that differ prove nothing", numbers)
    if wrong:
        more = f"; {counted(len(wrong) - 1, 'more disagreement')}" if len(wrong) > 1 else ""
        return Finding.broken(f"{wrong[0]}{more}", numbers, offending=len(wrong), story=Story(facts=(wrong[0],)))
    if unread:
        return Finding.undecided(
            f"the counter of {unread[0]} was not found in Redis ({counted(len(unread), 'SKU')})", numbers
        )
    if history.trial.counter is None:
        return Finding.held(f"{history.store} has what the ledger leaves; no counter in Redis is declared", numbers)
    return Finding.held("Redis and Postgres have what the ledger leaves, and nothing is held", numbers)
