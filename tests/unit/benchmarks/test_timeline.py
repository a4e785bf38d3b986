"""If these fail, a fault comes at the wrong time, stays after the load, or takes others along when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psutil
import psycopg
import pytest
import redis

from benchmarks.fault import Fault, FaultError, FaultOptions, Scene
from benchmarks.timeline import HEALED_LIMIT_NS, Timeline
from flashbench.evidence.documents import FaultEvent, PlannedFault
from flashbench.services.control import OrderRefusedError

NOWHERE = Scene("", "", "")
REFUSALS = [
    FaultError("no replica"),
    OrderRefusedError("not ours"),
    redis.ConnectionError("refused"),
    psycopg.OperationalError("gone"),
    psutil.NoSuchProcess(1),
    FileNotFoundError("no folder"),
]


class Told(FaultOptions):
    """Which of several things."""

    name: str = ""

    @property
    def which(self) -> str:
        return self.name


class Fake(Fault):
    """Does what it is told to do, and tells what was done to it."""

    hurts = "redis"
    Options = Told
    options: Told

    def __init__(self, options: Mapping[str, Any] | None = None, log: list[str] | None = None) -> None:
        super().__init__(NOWHERE, options)
        self.log = log if log is not None else []
        self.bites: str | None = "it bites"
        self.heals: str | None = "it is gone"
        self.raises: dict[str, Exception] = {}
        self.slow: dict[str, Callable[[], None]] = {}

    def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.options.name}".rstrip())
        if what in self.slow:
            self.slow[what]()
        if what in self.raises:
            raise self.raises[what]

    def prepare(self) -> None:
        self._do("prepare")

    def inject(self) -> None:
        self._do("inject")

    def bite(self) -> str | None:
        self._do("bite")
        return self.bites

    def heal(self) -> None:
        self._do("heal")

    def healed(self) -> str | None:
        self._do("healed")
        return self.heals


class Trial:
    """A timeline with a clock of its own, and the load of a trial."""

    def __init__(self, *planned: tuple[float, float, Fault]) -> None:
        self.now_ns = 1_000
        self.events: list[FaultEvent] = []
        self.said: list[str] = []
        faults = [(PlannedFault(fault="fake", at_s=at_s, for_s=for_s), fault) for at_s, for_s, fault in planned]
        self.timeline = Timeline(faults, self.events.append, self.said.append, lambda: self.now_ns)
        self.released_ns: int | None = None

    def run_to(self, at_s: float) -> None:
        """Look a hundred times a second until a moment of the load, which is released by then."""
        self.released_ns = self.released_ns if self.released_ns is not None else self.now_ns
        while self.now_ns < self.released_ns + round(at_s * 1e9):
            self.now_ns += 10_000_000
            self.timeline.advance(self.released_ns, over=False)

    def end(self, looks: int = 3) -> None:
        """The load is over."""
        for _ in range(looks):
            self.now_ns += 10_000_000
            self.timeline.advance(self.released_ns, over=True)

    @property
    def steps(self) -> list[tuple[int, str, float]]:
        """What was written down: place, step, seconds since the release."""
        assert self.released_ns is not None
        return [(each.place, each.step, round((each.at_ns - self.released_ns) / 1e9, 2)) for each in self.events]


def test_a_fault_is_prepared_at_the_release_injected_at_its_time_and_healed_at_its_end() -> None:
    fault = Fake()
    trial = Trial((1, 2, fault))

    trial.timeline.advance(None, over=False)
    assert fault.log == []
    trial.run_to(0.5)
    assert fault.log == ["prepare"]
    trial.run_to(3.5)

    assert fault.log == ["prepare", "inject", "bite", "heal", "healed"]
    assert trial.steps == [(0, "injected", 1.0), (0, "bit", 1.0), (0, "healed", 3.0)]
    assert [each.detail for each in trial.events] == ["", "it bites", "it is gone"]
    assert (trial.timeline.finished, trial.timeline.undone, trial.said) == (True, True, [])


def test_an_injection_that_takes_its_time_began_when_it_took_effect() -> None:
    fault = Fake()
    trial = Trial((1, 1, fault))

    def take_effect_late() -> None:
        trial.now_ns += 500_000_000
        fault.began_ns = trial.now_ns

    fault.slow["inject"] = take_effect_late
    trial.run_to(4)

    assert trial.steps == [(0, "injected", 1.5), (0, "bit", 1.5), (0, "healed", 2.5)]


def test_a_bite_is_looked_for_until_it_shows_and_its_absence_is_left_to_the_verdict() -> None:
    late, never = Fake(), Fake({"name": "other"})
    late.bites = never.bites = None
    trial = Trial((1, 1, late), (1, 1, never))

    trial.run_to(1.5)
    late.bites = "at last"
    trial.run_to(2.5)

    assert (0, "bit", 1.51) in trial.steps
    assert not any(place == 1 and step == "bit" for place, step, _ in trial.steps)
    assert trial.timeline.undone


def test_a_fault_that_flaps_is_injected_anew_each_time_and_never_before_it_is_healed() -> None:
    log: list[str] = []
    first, second, third = (Fake(log=log) for _ in range(3))
    first.heals = None
    trial = Trial((1, 0.5, first), (2, 0.5, second), (3, 0.5, third))

    trial.run_to(2.6)
    assert log.count("inject") == 1
    first.heals = "at last"
    trial.run_to(6)

    assert [step[:2] for step in trial.steps] == [(place, step) for place in range(3) for step in _STEPS]
    assert (1, "injected", 2.62) in trial.steps
    assert (1, "healed", 3.12) in trial.steps, "it lasts as long as planned, though it began late"


_STEPS = ("injected", "bit", "healed")


def test_what_could_not_be_written_down_is_healed_all_the_same() -> None:
    fault = Fake()
    trial = Trial((1, 2, fault))

    def full(_: FaultEvent) -> None:
        raise OSError("no space left")

    trial.timeline._note = full
    with pytest.raises(OSError, match="no space"):
        trial.run_to(1.5)
    trial.timeline.abandon()
    assert fault.log[-1] == "heal"


def test_what_is_over_when_it_is_done_is_healed_once_it_has_bitten() -> None:
    fault = Fake()
    fault.momentary = True  # type: ignore[misc]
    fault.bites = None
    trial = Trial((1, 2, fault))

    trial.run_to(1.5)
    fault.bites = "at last"
    trial.run_to(3.5)

    assert trial.steps == [(0, "injected", 1.0), (0, "bit", 1.51), (0, "healed", 1.52)]


def test_a_look_that_takes_its_time_delays_no_injection_and_no_heal() -> None:
    log: list[str] = []
    silent, other, third = (Fake({"name": name}, log) for name in "abc")

    def wait() -> None:
        trial.now_ns += 500_000_000

    silent.bites, silent.slow["bite"] = None, wait
    trial = Trial((1, 2, silent), (1, 0.4, other), (1, 2, third))
    trial.run_to(1.6)

    first_look = log.index("bite a")
    assert log[:first_look] == ["prepare a", "prepare b", "prepare c", "inject a", "inject b", "inject c"]
    assert log[first_look + 1 :].index("heal b") < log[first_look + 1 :].index("bite a")


def test_two_faults_last_at_once_and_each_ends_at_its_own_time() -> None:
    trial = Trial((1, 2, Fake({"name": "a"})), (2, 2, Fake({"name": "b"})))

    trial.run_to(5)

    assert trial.steps == [
        *((0, "injected", 1.0), (0, "bit", 1.0), (1, "injected", 2.0), (1, "bit", 2.0)),
        *((0, "healed", 3.0), (1, "healed", 4.0)),
    ]


def test_the_end_of_the_load_heals_what_lasts_in_reverse_order_and_injects_nothing_more() -> None:
    log: list[str] = []
    trial = Trial(
        (3, 9, Fake({"name": "c"}, log)), (1, 9, Fake({"name": "a"}, log)), (2, 9, Fake({"name": "b"}, log)),
        (8, 1, Fake({"name": "d"}, log)),
    )  # fmt: skip
    trial.run_to(4)
    del log[:]

    trial.end()

    assert [each for each in log if each.startswith("heal ")] == ["heal d", "heal c", "heal b", "heal a"]
    assert [step[:2] for step in trial.steps if step[1] == "healed"] == [(0, "healed"), (2, "healed"), (1, "healed")]
    assert not any(place == 3 for place, *_ in trial.steps)
    assert trial.timeline.undone


def test_what_lasts_until_the_end_is_looked_at_once_more_before_it_is_healed() -> None:
    fault = Fake()
    trial = Trial((1, 9, fault))
    fault.bites = None
    trial.run_to(2)
    fault.bites = "late"

    trial.end()

    assert [step for _, step, _ in trial.steps] == ["injected", "bit", "healed"]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
def test_an_injection_that_is_refused_did_not_bite_is_healed_at_once_and_stops_nobody(refusal: Exception) -> None:
    refused, other = Fake({"name": "a"}), Fake({"name": "b"})
    refused.raises["inject"] = refusal
    trial = Trial((1, 5, refused), (2, 1, other))

    trial.run_to(4)

    assert trial.steps == [
        *((0, "injected", 1.0), (0, "healed", 1.0)),
        *((1, "injected", 2.0), (1, "bit", 2.0), (1, "healed", 3.0)),
    ]
    assert trial.events[0].detail == "it could not be done"
    assert len(trial.said) == 1
    assert "fake could not be injected" in trial.said[0]
    assert refused.log == ["prepare a", "inject a", "heal a", "healed a"]
    assert trial.timeline.undone


def test_what_could_not_be_prepared_is_never_injected() -> None:
    fault, other = Fake({"name": "a"}), Fake({"name": "b"})
    fault.raises["prepare"] = FaultError("the replica lags")
    trial = Trial((1, 1, fault), (1, 1, other))

    trial.run_to(3)

    assert fault.log == ["prepare a", "heal a"]
    assert {place for place, *_ in trial.steps} == {1}
    assert trial.said == ["fake could not be prepared: the replica lags"]


@pytest.mark.parametrize("what", ["bite", "heal", "healed"])
def test_a_store_that_fails_meanwhile_is_asked_again_until_it_answers_and_complained_of_once(what: str) -> None:
    fault = Fake()
    fault.raises[what] = redis.TimeoutError("no answer")
    trial = Trial((1, 1, fault))
    trial.run_to(1.5)
    if what == "bite":
        del fault.raises[what]
    trial.run_to(2.5)
    fault.raises.clear()
    trial.run_to(3)

    assert [step for _, step, _ in trial.steps] == ["injected", "bit", "healed"]
    assert len(trial.said) == 1
    assert trial.timeline.undone


def test_what_can_not_be_undone_is_given_up_some_time_after_the_load_and_only_then() -> None:
    fault = Fake()
    fault.heals = None
    trial = Trial((1, 1, fault))

    trial.run_to(5 + HEALED_LIMIT_NS / 1e9)
    given_up = [trial.timeline.finished]
    trial.end()
    given_up.append(trial.timeline.finished)
    trial.now_ns += HEALED_LIMIT_NS
    trial.end()
    given_up.append(trial.timeline.finished)

    assert given_up == [False, False, True], "while the load is on, another fault may stand in its way, and go"
    assert not trial.timeline.undone
    assert any("still lasts" in sentence for sentence in trial.said)


def test_a_load_that_was_never_released_meets_no_fault() -> None:
    fault = Fake()
    trial = Trial((1, 1, fault))

    trial.timeline.advance(None, over=True)

    assert (fault.log, trial.events) == ([], [])
    assert trial.timeline.undone


def test_a_bug_in_one_fault_is_not_hidden_and_the_others_can_still_be_healed() -> None:
    lasting, broken = Fake({"name": "a"}), Fake({"name": "b"})
    broken.raises["inject"] = TypeError("a bug")
    trial = Trial((1, 5, lasting), (2, 5, broken))

    with pytest.raises(TypeError, match="a bug"):
        trial.run_to(3)
    trial.timeline.abandon()

    assert lasting.log[-1] == "heal a"
