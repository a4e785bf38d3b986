"""The verdict on a finished history: replayed from its events alone, against what the stores say at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flashbench.vocabulary import Outcome
from tests.simulation.findings import Finding
from tests.simulation.history import Answer, Commit, History, Purchase, Request


@dataclass(slots=True)
class _Replay:
    """The sale as its commits and answers alone tell it."""

    remaining: dict[str, int]
    limit: int
    orders: dict[str, Request] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)
    refused: set[Purchase] = field(default_factory=set)  # told sold out or limited
    failed: set[str] = field(default_factory=set)  # requests told that they had no effect
    fences: dict[str, int] = field(default_factory=dict)

    def commit(self, commit: Commit) -> Iterator[tuple[Finding, str]]:
        """An order becomes visible."""
        request = commit.request
        text = str(request)
        if request.key in self.orders:
            yield Finding.KEY_TWICE, text
        if request.purchase in self.refused:
            yield Finding.REFUSED_BUT_SOLD, text
        if request.name in self.failed:
            yield Finding.FAILED_BUT_SOLD, text
        self.orders[request.key] = request
        self.remaining[request.sku] -= request.quantity
        if self.remaining[request.sku] < 0:
            yield Finding.OVERSOLD, text
        self.bought[request.user] = self.bought.get(request.user, 0) + request.quantity
        if self.limit and self.bought[request.user] > self.limit:
            yield Finding.LIMIT_PASSED, text
        if commit.fence is not None:
            if commit.fence <= self.fences.get(request.sku, 0):
                yield Finding.FENCE_WENT_BACK, f"{text}: fence {commit.fence} after {self.fences[request.sku]}"
            self.fences[request.sku] = commit.fence

    def answer(self, answer: Answer) -> Iterator[tuple[Finding, str]]:
        """A worker answers. Remaining only falls and bought only grows, so the end of the window is its best moment."""
        request = answer.request
        text = f"{request} -> {answer.outcome}"
        order = self.orders.get(request.key)
        match answer.outcome:
            case Outcome.SOLD:
                if order is None or order.purchase != request.purchase:
                    yield Finding.SOLD_WITHOUT_ORDER, text
            case Outcome.SOLD_OUT:
                if self.remaining[request.sku] >= request.quantity:
                    yield Finding.FALSE_SOLD_OUT, text
            case Outcome.LIMITED:
                if not self.limit or self.bought.get(request.user, 0) + request.quantity <= self.limit:
                    yield Finding.FALSE_LIMITED, text
            case Outcome.FAILED:
                self.failed.add(request.name)
                if order is not None and order.name == request.name:
                    yield Finding.FAILED_BUT_SOLD, text
        if answer.outcome in (Outcome.SOLD_OUT, Outcome.LIMITED):
            self.refused.add(request.purchase)
            if order is not None and order.purchase == request.purchase:
                yield Finding.REFUSED_BUT_SOLD, text


def judge(history: History, remaining: Mapping[str, int]) -> dict[Finding, str]:
    """The first finding of each kind; ``remaining`` is what Postgres' stock rows say at the end, after the drain."""
    replay = _Replay(dict(history.initial), history.per_user_limit)
    findings: dict[Finding, str] = {}
    for event in history.events:
        for finding, text in replay.commit(event) if isinstance(event, Commit) else replay.answer(event):
            findings.setdefault(finding, text)
    for sku, initial in history.initial.items():
        sold = sum(order.quantity for order in replay.orders.values() if order.sku == sku)
        if sold > initial or remaining[sku] < 0:
            findings.setdefault(Finding.OVERSOLD, f"{sku}: sold {sold} of {initial}, remaining {remaining[sku]}")
        if sold + remaining[sku] != initial:
            findings.setdefault(Finding.UNIT_LOST, f"{sku}: {initial} != sold {sold} + remaining {remaining[sku]}")
        if remaining[sku] > 0:
            findings.setdefault(Finding.NOT_EXHAUSTED, f"{sku}: {remaining[sku]} left after buying until refused")
    return findings
