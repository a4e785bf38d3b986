"""The drain: after the load, contended buying by fresh users until every SKU is refused.

It finds units that the load left behind, units that leaked, and purchases that are no longer answered. Every try is
recorded under the label ``drain``. A SKU is done when it refuses a purchase while no other is in flight for it, so
units that were only held for a moment are not taken for leaked.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from flashbench.evidence.documents import SaleSpec
from flashbench.evidence.records import TryRecord
from flashbench.target.protocol import Answer, PurchaseOrder
from flashbench.trial.retries import pause_before_retry
from flashbench.vocabulary import Outcome

PARALLEL = 32
DECIDED_WITHIN_S = 5.0  # invariant I12
FIRST_USER = 10**12  # no load worker's users reach this far
MOST_TRIES = 200  # of one attempt; a record numbers them in one byte
MANY_WITHOUT_SALE = 64  # answers in a row for one SKU that are neither sold nor sold out
SURPLUS = 256  # purchases beyond what the SKU can hold before an endless seller is left alone


class Buys(Protocol):
    """The part of a target that the drain needs."""

    def buy(self, order: PurchaseOrder) -> Answer: ...


class KeepsTries(Protocol):
    """The part of a recorder that the drain needs."""

    def record_try(self, record: TryRecord) -> None: ...


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """Bounds of a drain, seconds where not said otherwise."""

    parallel: int = PARALLEL
    repeatable: bool = True  # a try of which nobody knows what became may be sent again
    decided_within_s: float = DECIDED_WITHIN_S
    whole_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from; tests bring their own."""

    now_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class _Sku:
    """What the drain knows of one SKU."""

    index: int
    name: str
    most: int  # purchases that can succeed at most, and then some
    in_flight: int = 0
    sold: int = 0
    without_sale: int = 0
    refused: bool = False  # once, under contention: from now on one at a time
    done: bool = False
    problem: str | None = None


@dataclass(slots=True)
class DrainResult:
    """How the drain went. ``problems`` are sentences that bar a PASS."""

    attempts: int = 0
    sold_units: int = 0
    problems: list[str] = field(default_factory=list)


def drain(
    target: Buys,
    sale_id: str,
    sale: SaleSpec,
    quantity: int,
    recorder: KeepsTries,
    *,
    seed: int = 0,
    limits: DrainLimits | None = None,
    clock: Clock | None = None,
    progress: Callable[[str], None] = lambda _: None,
    hurry: Callable[[], bool] = lambda: False,
) -> DrainResult:
    """Buy ``quantity`` at a time, at least 32 in parallel, a fresh user each, until each SKU is refused.

    ``hurry`` ends it early; that and every other end without a refusal is a problem in the result.
    """
    pool = _Pool(target, sale_id, sale, quantity, recorder, seed, limits or DrainLimits(), clock or Clock(), hurry)
    return pool.run(progress)


class _Pool:
    """The drain's buyers: plain threads, which are greenlets where gevent has patched them."""

    def __init__(
        self,
        target: Buys,
        sale_id: str,
        sale: SaleSpec,
        quantity: int,
        recorder: KeepsTries,
        seed: int,
        limits: DrainLimits,
        clock: Clock,
        hurry: Callable[[], bool],
    ) -> None:
        self._target, self._sale_id, self._quantity, self._recorder = target, sale_id, quantity, recorder
        self._seed, self._limits, self._clock, self._hurry = seed, limits, clock, hurry
        self._skus = [_Sku(index, item.sku, item.stock // quantity + SURPLUS) for index, item in enumerate(sale.items)]
        self._changed = threading.Condition()
        self._deadline_ns = clock.now_ns() + int(limits.whole_s * 1e9)
        self._turn = 0
        self._result = DrainResult()
        self._crash: BaseException | None = None

    def run(self, progress: Callable[[str], None]) -> DrainResult:
        threads = [threading.Thread(target=self._buyer, name=f"drain-{n}") for n in range(self._limits.parallel)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(timeout=2.0)
                if thread.is_alive():
                    left = sum(not sku.done for sku in self._skus)
                    progress(f"draining: {self._result.sold_units} units bought, {left} of {len(self._skus)} SKUs left")
                    break
        if self._crash is not None:
            raise self._crash
        self._result.problems += [sku.problem for sku in self._skus if sku.problem]
        return self._result

    def _buyer(self) -> None:
        try:
            while (taken := self._take()) is not None:
                sku, attempt, alone = taken
                self._settle(sku, self._attempt(sku, attempt), alone)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that started the drain
            with self._changed:
                self._crash = self._crash or error
                self._changed.notify_all()

    def _take(self) -> tuple[_Sku, int, bool] | None:
        """The next SKU to buy, the attempt's number, and whether it has the SKU for itself; None at the end.

        Once a SKU has refused, its purchases go one at a time; the others wait here.
        """
        with self._changed:
            while True:
                self._give_up_if_late()
                open_skus = [sku for sku in self._skus if not sku.done]
                if not open_skus or self._crash is not None:
                    self._changed.notify_all()
                    return None
                free = [sku for sku in open_skus if not (sku.refused and sku.in_flight)]
                if free:
                    sku = free[self._turn % len(free)]
                    self._turn += 1
                    sku.in_flight += 1
                    self._result.attempts += 1
                    return sku, self._result.attempts - 1, sku.refused
                self._changed.wait(0.2)

    def _attempt(self, sku: _Sku, attempt: int) -> Outcome:
        """One purchase, with retries until it is decided or its time is up."""
        clock, limits = self._clock, self._limits
        user = FIRST_USER + attempt
        key = hashlib.blake2b(f"{self._sale_id}|drain|{self._seed}|{attempt}".encode(), digest_size=16).digest()
        order = PurchaseOrder(self._sale_id, sku.name, self._quantity, user, key)
        intended_ns = clock.now_ns()
        tries = 0
        while True:
            invoked_ns = clock.now_ns()
            answer = self._target.buy(order)
            returned_ns = clock.now_ns() if answer.status else None
            record = _record(sku, attempt, tries, order, (intended_ns, invoked_ns, returned_ns), answer)
            tries += 1
            with self._changed:
                self._recorder.record_try(record)
            pause_s = pause_before_retry(answer, tries, at_most=MOST_TRIES, repeatable=limits.repeatable)
            left_s = limits.decided_within_s - (clock.now_ns() - intended_ns) / 1e9
            if pause_s is None or left_s <= 0:
                return answer.outcome
            clock.sleep(min(pause_s, left_s))

    def _settle(self, sku: _Sku, outcome: Outcome, alone: bool) -> None:
        with self._changed:
            sku.in_flight -= 1
            if outcome is Outcome.SOLD:
                sku.sold += 1
                sku.without_sale = 0
                self._result.sold_units += self._quantity
                if sku.sold > sku.most:
                    self._leave(sku, f"{sku.name} still sold after {sku.sold} drain purchases and was never refused")
            elif outcome is Outcome.SOLD_OUT:
                sku.done = sku.done or alone
                sku.refused = True
            else:
                sku.without_sale += 1
                if sku.without_sale >= MANY_WITHOUT_SALE:
                    self._leave(
                        sku, f"{sku.name} gave the drain {sku.without_sale} answers in a row that decide nothing"
                    )
            self._changed.notify_all()

    def _give_up_if_late(self) -> None:
        why = "was interrupted" if self._hurry() else None
        if why is None and self._clock.now_ns() > self._deadline_ns:
            why = f"took longer than {self._limits.whole_s:g} s"
        for sku in self._skus if why else ():
            if not sku.done:
                self._leave(sku, f"the drain {why} before {sku.name} was refused")

    def _leave(self, sku: _Sku, problem: str) -> None:
        sku.done = True
        sku.problem = sku.problem or problem


def _record(
    sku: _Sku, attempt: int, number: int, order: PurchaseOrder, stamps: tuple[int, int, int | None], answer: Answer
) -> TryRecord:
    intended_ns, invoked_ns, returned_ns = stamps
    return TryRecord(
        attempt=attempt,
        try_number=number,
        user=order.user,
        sku=sku.index,
        quantity=order.quantity,
        key=order.key,
        intended_ns=intended_ns,
        invoked_ns=invoked_ns,
        returned_ns=returned_ns,
        outcome=answer.outcome,
        status=answer.status,
        order_id=answer.order_id,
        remaining=answer.remaining,
        seq=answer.seq,
        replayed=answer.replayed,
        server_us=answer.timings.server_us,
        redis_us=answer.timings.redis_us,
        postgres_us=answer.timings.postgres_us,
    )
