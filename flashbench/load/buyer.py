"""The Locust user that buys: every request recorded, every answer read by the contract."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent
import geventhttpclient.client
from locust import FastHttpUser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.exception import StopUser

from flashbench.load.shopping import gap_ns, quantity_asked, random_stream, think_ns, user_number
from flashbench.load.worker import LoadWorker
from flashbench.target.contract import Headers
from flashbench.target.protocol import Answer, ProductReading, PurchaseOrder
from flashbench.trial.retries import pause_before_retry
from flashbench.vocabulary import Outcome

MOST_TRIES = 5  # of one attempt, so that what is unknown gets resolved

_PLAIN = {"Accept-Encoding": "identity"}
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL})  # no socket, no port: nothing was sent


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A purchase that was chosen: its number among the worker's, which SKU, what is sent, and whether twice."""

    number: int
    sku: int
    order: PurchaseOrder
    twins: bool


# What this client sends again by itself stands in no record, and it would do so as often as it may have connections.
geventhttpclient.client.IDEMPOTENT_METHODS = frozenset()


class Buyer(FastHttpUser):
    """Base of the locustfiles' users: ``turn`` or ``arrival`` says when, ``purchase`` and ``browse`` do it.

    ::

        class FlashSaleBuyer(Buyer):
            @task
            def buy(self) -> None:
                self.purchase(self.turn())
    """

    abstract = True
    concurrency = 1 << 16  # whatever is beyond it would queue silently, and count as the target's slowness
    max_retries = 0
    network_timeout = 10.0
    connection_timeout = 5.0

    load: ClassVar[LoadWorker | None] = None  # this process's share of the trial that runs now

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        agent = self.client.client
        # Every status is an answer: else Locust drops the body of a refusal that comes in a packet of its own.
        vars(agent).update(
            valid_response_codes=frozenset(range(100, 600)), redirect_response_codes=frozenset(), cookiejar=None
        )
        self._turns = 0
        self._free_ns = 0  # when the last visit was over
        self._due_ns = 0  # when the last arrival was due

    def on_start(self) -> None:
        if Buyer.load is None:
            return  # the sale could not be opened; the first turn ends the user (here, Locust would log a traceback)
        self._load = Buyer.load
        ordinal = self._load.enlist()
        self.number = user_number(self._load.index, ordinal)
        self.stream = random_stream(self._load.briefing.seed, self._load.index, ordinal)

    @property
    def _tabs(self) -> int:
        """How many purchases a user makes at once."""
        return self._load.briefing.tabs

    @property
    def read_share(self) -> float:
        """The share of visits that only look."""
        return self._load.briefing.read_share

    def turn(self) -> int:
        """Wait for this user's next turn and return the moment it was meant for; ends the user after its last.

        The first turn is the barrier's release; the others come after a time to think.
        """
        if Buyer.load is None:
            raise StopUser
        briefing = self._load.briefing
        if briefing.attempts and self._turns >= briefing.attempts:
            self._load.dismiss()
            raise StopUser
        if self._turns == 0:
            intended_ns = self._load.await_release()
        else:
            intended_ns = self._free_ns + think_ns(self.stream, briefing.think_ms)
        if intended_ns is None or not self._load.sleep_until(intended_ns):
            raise StopUser
        self._turns += 1
        return intended_ns

    def arrival(self) -> int:
        """Wait for the next arrival of this user's own schedule, and return its moment; ends the user after its last.

        The schedule follows from the seed alone: it does not wait for answers, so nothing is left out when the target
        stalls. It starts with the barrier's release.
        """
        if Buyer.load is None:
            raise StopUser
        briefing = self._load.briefing
        if briefing.attempts and self._turns >= briefing.attempts:
            self._load.dismiss()
            raise StopUser
        before_ns = self._load.await_release() if self._turns == 0 else self._due_ns
        if before_ns is None:
            raise StopUser
        self._due_ns = before_ns + gap_ns(self.stream, briefing.arrivals_per_s)
        self._turns += 1
        if not self._load.sleep_until(self._due_ns):
            raise StopUser
        return self._due_ns

    def purchase(self, intended_ns: int) -> Outcome:
        """One attempt: a try, or two at once under one key, and retries with the same key until it is decided.

        With several tabs, as many attempts at once; the outcome is that of the first.
        """
        others = [gevent.spawn(self._carry_out, self._begin(self.number), intended_ns) for _ in range(self._tabs - 1)]
        try:
            outcome = self._carry_out(self._begin(self.number), intended_ns)
            gevent.joinall(others, raise_error=True)
            return outcome
        finally:
            gevent.killall(others, block=False)
            self._free_ns = time.monotonic_ns()

    def purchase_by_somebody_new(self, intended_ns: int) -> None:
        """One attempt, as ``purchase``, by a user never seen before, without waiting for its end."""
        gevent.spawn(self._carry_out, self._begin(self._load.new_user()), intended_ns)

    def browse(self, intended_ns: int) -> ProductReading:
        """One look at a product, through the target's cache."""
        load = self._load
        sku = load.popularity.pick(self.stream)
        request = load.contract.product_request(load.briefing.sale_id, load.briefing.skus[sku])
        invoked_ns = time.monotonic_ns()
        reading, returned_ns = ProductReading(0), None
        try:
            with self.client.request(
                request.method,
                request.path,
                headers={**request.headers, **_PLAIN},
                name="browse",
                catch_response=True,
            ) as response:
                returned_ns = _answered(response)
                if returned_ns is None:
                    self._note_if_unsent(response.request_meta["exception"])
                else:
                    reading = load.contract.classify_product(response.status_code, _header(response), response.content)
                if reading.status == 200:
                    response.success()
                else:
                    response.failure(f"status {reading.status}")
        finally:
            load.keep_read(self.number, sku, (intended_ns, invoked_ns, returned_ns), reading)
            self._free_ns = time.monotonic_ns()
        return reading

    def _begin(self, user: int) -> _Attempt:
        """Choose what is bought; from here on the attempt counts as in flight."""
        load, briefing = self._load, self._load.briefing
        sku = load.popularity.pick(self.stream)
        twins = briefing.twin_share > 0 and self.stream.random() < briefing.twin_share
        number, key = load.begin_attempt()
        quantity = quantity_asked(self.stream, briefing.quantity, briefing.most_quantity)
        order = PurchaseOrder(briefing.sale_id, briefing.skus[sku], quantity, user, key)
        return _Attempt(number, sku, order, twins)

    def _carry_out(self, attempt: _Attempt, intended_ns: int) -> Outcome:
        number, sku, order = attempt.number, attempt.sku, attempt.order
        try:
            if attempt.twins:
                answer, tries = self._twins(number, sku, order, intended_ns), 2
            else:
                answer, tries = self._try(number, 0, sku, order, intended_ns), 1
            repeatable = self._load.contract.retries
            while (pause_s := pause_before_retry(answer, tries, at_most=MOST_TRIES, repeatable=repeatable)) is not None:
                again_ns = time.monotonic_ns() + int(pause_s * 1e9)
                gevent.sleep(pause_s)
                answer = self._try(number, tries, sku, order, again_ns)
                tries += 1
        finally:
            self._load.end_attempt()
        return answer.outcome

    def _twins(self, attempt: int, sku: int, order: PurchaseOrder, intended_ns: int) -> Answer:
        other = gevent.spawn(self._try, attempt, 1, sku, order, intended_ns)
        try:
            answers: list[Answer] = [self._try(attempt, 0, sku, order, intended_ns), other.get()]
        finally:
            other.kill(block=False)
        for outcome in (Outcome.SOLD, Outcome.UNKNOWN):
            for answer in answers:
                if answer.outcome is outcome:
                    return answer
        return answers[-1]

    def _try(self, attempt: int, number: int, sku: int, order: PurchaseOrder, intended_ns: int) -> Answer:
        """One request, recorded however it ends; none where nothing is recorded any more."""
        if self._load.closed:
            return Answer(Outcome.UNKNOWN)
        contract = self._load.contract
        request = contract.purchase_request(order)
        answer, returned_ns = Answer(Outcome.UNKNOWN), None
        entry = self._load.sending(attempt, number, sku, order, intended_ns)
        try:
            with self.client.request(
                request.method,
                request.path,
                data=request.body.decode(),
                headers={**request.headers, **_PLAIN},
                name="buy",
                catch_response=True,
            ) as response:
                returned_ns = _answered(response)
                if returned_ns is not None:
                    answer = contract.classify_purchase(response.status_code, _header(response), response.content)
                elif self._note_if_unsent(response.request_meta["exception"]):
                    answer = Answer(Outcome.FAILED)
                response.request_meta["name"] = f"buy: {answer.outcome}"
                if answer.outcome.decided:
                    response.success()
                else:
                    response.failure(f"{answer.outcome} (status {answer.status})")
        finally:
            self._load.keep(entry, answer, returned_ns)
        return answer

    def _note_if_unsent(self, error: object) -> bool:
        """Whether a request provably did not leave; if that is this process's own shortage, the worker takes note."""
        if isinstance(error, OSError) and error.errno in _SHORTAGES:
            self._load.could_not_send()
            return True
        return isinstance(error, ConnectionRefusedError)


def _answered(response: ResponseContextManager) -> int | None:
    """The present moment if a whole answer came, else None."""
    if response.request_meta["exception"] is not None or not response.status_code:
        return None
    return time.monotonic_ns()


def _header(response: ResponseContextManager) -> Headers:
    """Looks up the response's headers."""
    headers: Any = response.headers
    return (headers or {}).get
