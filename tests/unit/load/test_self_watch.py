"""A generator that lags must say so, else its own slowness is taken for the target's."""

from flashbench.load.self_watch import INTERVAL_S, SelfWatch


class Clock:
    def __init__(self) -> None:
        self.ns = 0
        self.cpu = 0
        self.oversleep_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.ns += round((seconds + self.oversleep_s) * 1e9)


def watch_of(clock: Clock) -> SelfWatch:
    return SelfWatch(clock.sleep, lambda: clock.ns, lambda: clock.cpu)


def test_a_lag_shows_in_the_maximum_and_only_a_frequent_one_in_the_p99() -> None:
    clock = Clock()
    watch = watch_of(clock)
    watch.begin()
    for number in range(1000):
        clock.oversleep_s = 0.5 if number == 500 else 0.001
        watch.sample()
    condition = watch.condition()
    assert 499 < condition.loop_lag_max_ms < 501
    assert 0.9 < condition.loop_lag_p99_ms < 1.1


def test_what_was_before_the_load_does_not_count() -> None:
    clock = Clock()
    watch = watch_of(clock)
    clock.oversleep_s = 5.0
    watch.sample()
    assert watch.condition().loop_lag_max_ms == 0
    watch.begin()
    clock.oversleep_s = 0.0
    watch.sample()
    assert watch.condition().loop_lag_max_ms < 1


def test_cpu_is_a_share_of_one_core() -> None:
    clock = Clock()
    watch = watch_of(clock)
    clock.cpu = 7_000_000
    watch.begin()
    watch.sample()
    clock.cpu += round(INTERVAL_S * 1e9 / 2)
    assert abs(watch.condition().cpu_share - 0.5) < 0.01
