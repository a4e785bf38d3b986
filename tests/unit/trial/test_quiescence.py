"""Reading a system that has not come to rest gives figures that never were."""

from collections.abc import Sequence

from flashbench.evidence.documents import StoreReading
from flashbench.trial.drain import Clock
from flashbench.trial.quiescence import wait_until_idle, wait_until_still


class System:
    """Time passes only by sleeping; ``busy_until`` and ``changes`` say when it moves."""

    def __init__(self, busy_until_s: float = 0.0, changes_s: tuple[float, ...] = ()) -> None:
        self.now = 0
        self.busy_until_s, self.changes_s = busy_until_s, changes_s

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def moving(self) -> Sequence[str]:
        return ["3 purchases are in flight"] if self.now < self.busy_until_s * 1e9 else []

    def snapshot(self) -> tuple[StoreReading, ...]:
        happened = sum(self.now >= moment * 1e9 for moment in self.changes_s)
        return (StoreReading(sku="sku-1", initial=9, sold=happened, postgres_remaining=9 - happened),)


def test_two_snapshots_further_apart_than_the_longest_timer() -> None:
    system = System()
    rest = wait_until_still(system, 3.0, 30.0, clock=system.clock)
    assert rest.reached
    assert rest.snapshots_apart_s > 3.0
    assert rest.waited_s < 4.0


def test_a_change_starts_the_wait_anew() -> None:
    system = System(changes_s=(2.5,))
    rest = wait_until_still(system, 3.0, 30.0, clock=system.clock)
    assert rest.reached
    assert rest.waited_s > 5.5


def test_something_moving_starts_the_wait_anew() -> None:
    system = System(busy_until_s=4.0)
    rest = wait_until_still(system, 3.0, 30.0, clock=system.clock)
    assert rest.reached
    assert rest.waited_s > 7.0


def test_what_never_rests_is_said() -> None:
    system = System(busy_until_s=1e9)
    rest = wait_until_still(system, 3.0, 10.0, clock=system.clock)
    assert not rest.reached
    assert "3 purchases are in flight" in rest.reason
    restless = System(changes_s=tuple(float(second) for second in range(40)))
    rest = wait_until_still(restless, 3.0, 10.0, clock=restless.clock)
    assert not rest.reached
    assert "changed" in rest.reason


def test_haste_ends_the_wait_without_claiming_rest() -> None:
    system = System()
    rest = wait_until_still(system, 3.0, 30.0, clock=system.clock, hurry=lambda: True)
    assert not rest.reached


def test_waiting_for_idleness_is_bounded() -> None:
    system = System(busy_until_s=2.0)
    assert wait_until_idle(system.moving, 10.0, clock=system.clock) == []
    assert 2e9 <= system.now < 3e9
    stuck = System(busy_until_s=1e9)
    assert wait_until_idle(stuck.moving, 1.0, clock=stuck.clock)
    assert stuck.now < 2e9
