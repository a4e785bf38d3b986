"""I7: units neither appear nor vanish."""

from __future__ import annotations

from collections.abc import Iterable

from reports.checks.finding import Finding
from reports.checks.history import History
from reports.checks.story import Story
from reports.checks.words import counted

TITLE = "conserved"


def check(history: History) -> Finding:
    """Per SKU and store, after the drain: initial = sold + remaining.

    Postgres by its own count of orders and by the ledger; Redis, where the strategy declares a counter, with what is
    held there counted as remaining.
    """
    if not history.final or history.ordered is None:
        return Finding.undecided("the stores were not read")
    identities: list[str] = []
    wrong: list[str] = []
    for sku, initial, ordered in zip(history.skus, history.initial, history.ordered, strict=True):
        reading = history.final.get(sku)
        if reading is None:
            return Finding.undecided(f"the stores were not read for {sku}")
        claims = [(f"{sku} in the store was opened with", reading.initial, int(initial), "")]
        claims.append((f"{sku} in the store sold", reading.sold, int(ordered), " in the ledger"))
        if reading.postgres_remaining is not None:
            left = reading.postgres_remaining
            claims.append(
                (f"{sku}: sold {ordered} + {left} remaining in {history.store}", int(ordered) + left, int(initial), "")
            )
        if reading.redis_remaining is not None:
            left, held = reading.redis_remaining, reading.redis_held or 0
            text = f"{sku}: sold {ordered} + {left} remaining + {held} held in Redis"
            claims.append((text, int(ordered) + left + held, int(initial), ""))
        identities += [text for text, _, _, _ in claims]
        wrong += [f"{text} = {found}, not {due}{of}" for text, found, due, of in claims if found != due]
    numbers = {
        "initial": int(history.initial.sum()),
        "sold": int(history.ordered.sum()),
        "postgres_remaining": _total(reading.postgres_remaining for reading in history.final.values()),
        "redis_remaining": _total(reading.redis_remaining for reading in history.final.values()),
        "redis_held": _total(reading.redis_held for reading in history.final.values()),
        "identities": len(identities),
        "broken_identities": len(wrong),
    }
    if not history.whole or not history.at_rest:
        why = "the evidence is incomplete" if not history.whole else "the stores did not come to rest"
        return Finding.undecided(f"{why}, so sums that differ prove nothing", numbers)
    if wrong:
        more = f"; {counted(len(wrong) - 1, 'more sum is', 'more sums are')} wrong" if len(wrong) > 1 else ""
        return Finding.broken(f"{wrong[0]}{more}", numbers, offending=len(wrong), story=Story(facts=(wrong[0],)))
    return Finding.held(
        f"initial = sold + remaining in {len(identities)} sums over {counted(len(history.skus), 'SKU')}", numbers
    )


def _total(values: Iterable[int | None]) -> int | None:
    given = [value for value in values if value is not None]
    return sum(given) if given else None
