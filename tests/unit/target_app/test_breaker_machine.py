"""The circuit breaker against a plain account of what it was told. If it errs, a dead Redis stalls every purchase, or a
living one is left unused."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from target_app.cache.breaker import BreakerLimits, BreakerState, CircuitBreaker

LIMITS = BreakerLimits()


class BreakerMachine(RuleBasedStateMachine):
    """Calls overlap, end in any order, and time passes in steps of any size."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.now_s = 100.0
        self.breaker = CircuitBreaker(random.Random(seed))
        self.calls: list[tuple[int, int]] = []  # ticket, and the period in which it was given
        self.period = 0  # begins anew whenever the state changes
        self.told: list[tuple[float, bool]] = []  # of this period: when, and whether it was answered
        self.probes = 0
        self.opened_s = 0.0
        self.state = BreakerState.CLOSED

    def moved_to(self, state: BreakerState) -> None:
        self.state = state
        self.period += 1
        self.told = []
        self.probes = 0

    @rule(step_s=st.sampled_from([0.0, 0.001, 0.02, 0.05, 0.15, 0.31, 0.61, 1.5]))
    def time_passes(self, step_s: float) -> None:
        self.now_s += step_s

    @rule()
    def ask(self) -> None:
        promised = self.breaker.would_admit(self.now_s)
        ticket = self.breaker.admit(self.now_s)
        assert (ticket is not None) == promised
        if self.state is BreakerState.OPEN and self.breaker.state is BreakerState.HALF_OPEN:
            assert self.now_s >= self.opened_s + LIMITS.open_min_s
            self.moved_to(BreakerState.HALF_OPEN)
        if self.state is BreakerState.CLOSED:
            assert ticket is not None
        if self.state is BreakerState.OPEN:
            assert ticket is None
            assert self.now_s < self.opened_s + LIMITS.open_max_s
        if ticket is not None:
            self.probes += self.state is BreakerState.HALF_OPEN
            self.calls.append((ticket, self.period))

    @rule()
    def ask_and_fail_in_a_row(self) -> None:
        """Random steps alone would hardly ever open it."""
        for _ in range(LIMITS.consecutive_failures):
            self.ask()
            if self.calls and self.calls[-1][1] == self.period:
                self.end(len(self.calls) - 1, answered=False)

    @precondition(lambda self: self.calls)
    @rule(answered=st.booleans(), data=st.data())
    def call_ends(self, answered: bool, data: st.DataObject) -> None:
        self.end(data.draw(st.integers(0, len(self.calls) - 1)), answered=answered)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def call_is_given_up(self, data: st.DataObject) -> None:
        ticket, period = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        self.breaker.abandoned(ticket)
        self.probes -= period == self.period and self.state is BreakerState.HALF_OPEN

    def end(self, number: int, *, answered: bool) -> None:
        ticket, period = self.calls.pop(number)
        (self.breaker.succeeded if answered else self.breaker.failed)(ticket, self.now_s)
        if period != self.period:
            return  # it says nothing of how things are now
        self.told.append((self.now_s, answered))
        if self.state is BreakerState.HALF_OPEN:
            self.moved_to(BreakerState.CLOSED if answered else BreakerState.OPEN)
            self.opened_s = self.now_s
            if answered:
                self.told.append((self.now_s, True))
        elif self.should_open():
            self.moved_to(BreakerState.OPEN)
            self.opened_s = self.now_s

    def should_open(self) -> bool:
        if self.told[-1][1]:
            return False
        in_a_row = [answered for _, answered in self.told[-LIMITS.consecutive_failures :]]
        if len(in_a_row) == LIMITS.consecutive_failures and not any(in_a_row):
            return True
        recent = self.told[-LIMITS.window_calls :]
        failures = sum(not answered for _, answered in recent)
        return (
            len(recent) == LIMITS.window_calls
            and self.now_s - recent[0][0] <= LIMITS.window_s
            and failures * 2 >= LIMITS.window_calls
        )

    @invariant()
    def the_state_is_as_told(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.state is self.state

    @invariant()
    def never_more_than_three_probes(self) -> None:
        if hasattr(self, "breaker") and self.state is BreakerState.HALF_OPEN:
            assert 0 <= self.probes <= LIMITS.probes


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=80, deadline=None)


def test_half_of_the_last_twenty_calls_within_a_second_open_it() -> None:
    breaker = CircuitBreaker(random.Random(1))
    for number in range(20):
        assert breaker.state is BreakerState.CLOSED
        ticket = breaker.admit(0.01 * number)
        assert ticket is not None
        (breaker.failed if number % 2 else breaker.succeeded)(ticket, 0.01 * number)
    assert breaker.state is BreakerState.OPEN


def test_half_of_the_last_twenty_calls_in_two_seconds_do_not() -> None:
    breaker = CircuitBreaker(random.Random(1))
    for number in range(60):
        ticket = breaker.admit(0.1 * number)
        assert ticket is not None
        (breaker.failed if number % 2 else breaker.succeeded)(ticket, 0.1 * number)
    assert breaker.state is BreakerState.CLOSED


def test_a_late_answer_does_not_close_an_open_breaker() -> None:
    breaker = CircuitBreaker(random.Random(1))
    tickets = [breaker.admit(0.0) for _ in range(6)]
    for ticket in tickets[:5]:
        assert ticket is not None
        breaker.failed(ticket, 0.1)
    late = tickets[5]
    assert late is not None
    breaker.succeeded(late, 0.2)
    assert breaker.state is BreakerState.OPEN
    assert breaker.admit(0.2) is None


def test_it_stays_open_for_a_jittered_while() -> None:
    lengths = set()
    for seed in range(50):
        breaker = CircuitBreaker(random.Random(seed))
        for _ in range(5):
            ticket = breaker.admit(0.0)
            assert ticket is not None
            breaker.failed(ticket, 0.0)
        length_ms = next(ms for ms in range(1000) if breaker.would_admit(ms / 1000))
        assert 300 <= length_ms <= 600
        lengths.add(length_ms)
    assert len(lengths) > 20


def test_three_probes_at_once_and_the_first_answer_decides() -> None:
    for answered in (True, False):
        breaker = CircuitBreaker(random.Random(1))
        for _ in range(5):
            ticket = breaker.admit(0.0)
            assert ticket is not None
            breaker.failed(ticket, 0.0)
        probes = [breaker.admit(0.7) for _ in range(3)]
        assert None not in probes
        assert breaker.admit(0.7) is None
        given_up, decisive, late = probes
        assert given_up is not None
        assert decisive is not None
        assert late is not None
        breaker.abandoned(given_up)
        assert breaker.admit(0.7) is not None
        (breaker.succeeded if answered else breaker.failed)(decisive, 0.8)
        assert breaker.state is (BreakerState.CLOSED if answered else BreakerState.OPEN)
        (breaker.failed if answered else breaker.succeeded)(late, 0.8)
        assert breaker.state is (BreakerState.CLOSED if answered else BreakerState.OPEN)
