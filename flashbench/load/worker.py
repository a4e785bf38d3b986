"""One process's share of one trial: its buyers, its barrier, its records, and its last word.

Nothing that a buyer sent may go missing: a try is known from before its first byte is sent until it is recorded, and
one that is cut off by the end is recorded as ``unknown``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gevent
from gevent.event import Event
from gevent.lock import RLock

from flashbench.errors import UsageError
from flashbench.evidence.documents import WorkerClosing
from flashbench.evidence.recorder import Recorder
from flashbench.evidence.records import ReadRecord, TryRecord
from flashbench.load.briefing import Briefing, clock_name
from flashbench.load.self_watch import SelfWatch
from flashbench.load.shopping import Popularity, idempotency_key, user_number
from flashbench.target.protocol import Answer, ProductReading, PurchaseOrder
from flashbench.trial.collect import write_closing
from flashbench.vocabulary import Outcome

IN_FLIGHT_LIMIT_S = 10.0  # how long the end waits for purchases in flight

log = logging.getLogger("flashbench")


@dataclass(slots=True, eq=False)
class OpenTry:
    """A try between its sending and its record."""

    attempt: int
    number: int
    sku: int
    order: PurchaseOrder
    intended_ns: int
    invoked_ns: int


class LoadWorker:
    """The load of one process. ``folder`` is where it writes; ``on_spent`` is called once when its plan is spent."""

    def __init__(self, briefing: Briefing, index: int, folder: Path, on_spent: Callable[[], None]) -> None:
        self.briefing = briefing
        self.index = index
        self.folder = folder
        self.label = str(index)
        self.popularity = Popularity(len(briefing.skus))
        self.contract = briefing.contract()
        self._recorder = Recorder(folder, self.label)
        self._on_spent = on_spent
        self._stopping = Event()
        self._released = Event()
        self._nothing_open = Event()
        self._nothing_open.set()
        self._closing_lock = RLock()
        self._closing: WorkerClosing | None = None
        self._closed = False
        self._release_ns = 0
        self._enlisted = self._finished = self._users = self._attempts = self._open_attempts = 0
        self._spent = False
        self._open: set[OpenTry] = set()
        self._peak = self._unsent = 0
        self._problems: list[str] = []
        self._records_lost = False
        self._watch = SelfWatch(gevent.sleep)
        self._watcher = gevent.spawn(self._keep_watch)

    # Buyers

    def enlist(self) -> int:
        """A new buyer of Locust's; its ordinal."""
        self._enlisted += 1
        self._users += 1
        return self._users - 1

    def new_user(self) -> int:
        """The number of a user that was never seen before."""
        self._users += 1
        return user_number(self.index, self._users - 1)

    def dismiss(self) -> None:
        """A buyer has spent its plan."""
        self._finished += 1
        self._note_if_spent()

    def await_release(self) -> int | None:
        """Wait at the barrier; the moment of the release, or None if the run ends first."""
        gevent.wait([self._released, self._stopping], count=1)
        return None if self._stopping.is_set() else self._release_ns

    def sleep_until(self, moment_ns: int) -> bool:
        """Wait for a moment; False if the run ends first."""
        left_s = (moment_ns - time.monotonic_ns()) / 1e9
        if left_s > 0:
            self._stopping.wait(left_s)
        return not self._stopping.is_set()

    def release(self, at_ns: int) -> None:
        """Open the barrier at a moment of the monotonic clock. Only the first call counts."""
        if not self._released.is_set():
            self._release_ns = at_ns
            self._released.set()
            gevent.spawn_later(max(0.0, (at_ns - time.monotonic_ns()) / 1e9), self._begin)

    def begin_attempt(self) -> tuple[int, bytes]:
        """Number and key of a new attempt, which counts as in flight until ``end_attempt``."""
        number = self._attempts
        self._attempts += 1
        self._open_attempts += 1
        self._nothing_open.clear()
        return number, idempotency_key(self.briefing.seed, self.briefing.sale_id, self.index, number)

    def end_attempt(self) -> None:
        self._open_attempts -= 1
        if not self._open_attempts:
            self._nothing_open.set()

    # Records

    def sending(self, attempt: int, number: int, sku: int, order: PurchaseOrder, intended_ns: int) -> OpenTry:
        """To be called right before a try is sent."""
        entry = OpenTry(attempt, number, sku, order, intended_ns, 0)
        self._open.add(entry)
        self._peak = max(self._peak, len(self._open))
        entry.invoked_ns = time.monotonic_ns()
        return entry

    def keep(self, entry: OpenTry, answer: Answer, returned_ns: int | None) -> None:
        """Record how a try ended. An answer that comes after its try was cut off changes nothing."""
        if entry not in self._open:
            return
        self._open.remove(entry)
        order = entry.order
        record = TryRecord(
            entry.attempt,
            entry.number,
            order.user,
            entry.sku,
            order.quantity,
            order.key,
            entry.intended_ns,
            entry.invoked_ns,
            returned_ns,
            answer.outcome,
            answer.status,
            answer.order_id,
            answer.remaining,
            answer.seq,
            answer.replayed,
            answer.timings.server_us,
            answer.timings.redis_us,
            answer.timings.postgres_us,
        )
        self._write(lambda: self._recorder.record_try(record))

    def keep_read(self, user: int, sku: int, stamps: tuple[int, int, int | None], reading: ProductReading) -> None:
        """Record one product read; ``stamps`` are intended, invoked and returned."""
        if self._closed:
            return
        record = ReadRecord(
            user,
            sku,
            *stamps,
            reading.status,
            reading.cache,
            reading.age_s,
            reading.version,
            reading.remaining,
            reading.timings.server_us,
            reading.timings.redis_us,
            reading.timings.postgres_us,
        )
        self._write(lambda: self._recorder.record_read(record))

    def could_not_send(self) -> None:
        """A request never left, since this process ran out of what it takes to send one."""
        self._unsent += 1

    # The end

    @property
    def closed(self) -> bool:
        """Whether nothing is recorded any more, so that nothing may be sent."""
        return self._closed

    def close(self, hurry: Callable[[], bool] = lambda: False) -> WorkerClosing | None:
        """No new attempts; wait for those in flight, at most the limit; cut off the rest; leave the last word.

        Idempotent, and safe to call from several greenlets: the others wait for the first. None if the evidence could
        not be written, in which case there is no closing, and its absence says so.
        """
        with self._closing_lock:
            if self._closed:
                return self._closing
            self._stopping.set()
            deadline = time.monotonic() + IN_FLIGHT_LIMIT_S
            while not self._nothing_open.wait(0.1) and time.monotonic() < deadline and not hurry():
                pass
            condition = self._watch.condition()
            self._watcher.kill()
            cut_off = list(self._open)
            for entry in cut_off:
                self.keep(entry, Answer(Outcome.UNKNOWN), None)
            self._closed = True
            try:
                totals = self._recorder.close()
                self._closing = WorkerClosing(
                    worker=self.label,
                    tries=totals.tries,
                    reads=totals.reads,
                    tries_sha256=totals.tries_sha256,
                    reads_sha256=totals.reads_sha256,
                    cut_off=len(cut_off),
                    peak_in_flight=self._peak,
                    loop_lag_p99_ms=condition.loop_lag_p99_ms,
                    loop_lag_max_ms=condition.loop_lag_max_ms,
                    cpu_share=condition.cpu_share,
                    unsent=self._unsent,
                    own_clock=self.briefing.clock != clock_name(),
                    records_lost=self._records_lost,
                    problems=tuple(self._problems),
                )
                write_closing(self.folder, self._closing)
            except (UsageError, OSError) as error:
                self._closing = None
                log.error("worker %s could not write its evidence: %s", self.label, error)
            return self._closing

    def note(self, problem: str) -> None:
        """Something that bars a PASS, in a sentence."""
        if problem not in self._problems:
            self._problems.append(problem)

    def _begin(self) -> None:
        self._watch.begin()
        self._note_if_spent()

    def _note_if_spent(self) -> None:
        if self.briefing.attempts and self._released.is_set() and self._finished >= self._enlisted and not self._spent:
            self._spent = True
            self._on_spent()

    def _keep_watch(self) -> None:
        while True:
            self._watch.sample()
            self._write(lambda: self._recorder.flush_if_due(time.monotonic_ns()))

    def _write(self, action: Callable[[], None]) -> None:
        """A folder that is full or gone must not end the load in the middle; it bars a PASS."""
        try:
            action()
        except UsageError as error:
            self._records_lost = True
            problem = f"worker {self.label} lost records: {error}"
            if problem not in self._problems:
                self._problems.append(problem)
                log.error("%s", problem)
