"""The simulation's own verdict: every kind of wrong history is seen as such, and runs are what they claim to be."""

from __future__ import annotations

import pytest

from flashbench.vocabulary import Outcome
from tests.simulation.crowd import run_seed, story_of
from tests.simulation.findings import Finding
from tests.simulation.history import Answer, Commit, Event, History, Request
from tests.simulation.protocols import ProtocolName
from tests.simulation.verdict import judge

FIRST = Request("r1", "k1", "A", 1, "u1")
TWIN = Request("r2", "k1", "A", 1, "u1")
OTHER = Request("r3", "k2", "A", 1, "u1")
THIRD = Request("r4", "k3", "A", 1, "u2")


def _findings(events: list[Event], *, remaining: int = 0, limit: int = 0) -> set[Finding]:
    return set(judge(History({"A": 2}, limit, events), {"A": remaining}))


def test_an_honest_history_has_no_findings() -> None:
    events: list[Event] = [
        Commit(FIRST, 1, 1),
        Answer(FIRST, Outcome.SOLD),
        Answer(TWIN, Outcome.SOLD),
        Commit(OTHER, 2, 2),
        Answer(OTHER, Outcome.UNKNOWN),
        Answer(THIRD, Outcome.SOLD_OUT),
    ]
    assert _findings(events) == set()


@pytest.mark.parametrize(
    ("finding", "events", "remaining", "limit"),
    [
        (Finding.OVERSOLD, [Commit(FIRST, None, 1), Commit(OTHER, None, 2), Commit(THIRD, None, 3)], 0, 0),
        (Finding.UNIT_LOST, [Commit(FIRST, None, 1)], 0, 0),
        (Finding.NOT_EXHAUSTED, [Commit(FIRST, None, 1)], 1, 0),
        (Finding.KEY_TWICE, [Commit(FIRST, None, 1), Commit(TWIN, None, 2)], 0, 0),
        (Finding.SOLD_WITHOUT_ORDER, [Answer(FIRST, Outcome.SOLD)], 2, 0),
        (Finding.FALSE_SOLD_OUT, [Answer(FIRST, Outcome.SOLD_OUT)], 2, 0),
        (Finding.REFUSED_BUT_SOLD, [Commit(FIRST, None, 1), Answer(TWIN, Outcome.SOLD_OUT)], 1, 0),
        (Finding.REFUSED_BUT_SOLD, [Answer(TWIN, Outcome.LIMITED), Commit(FIRST, None, 1)], 1, 1),
        (Finding.FALSE_LIMITED, [Answer(FIRST, Outcome.LIMITED)], 2, 1),
        (Finding.LIMIT_PASSED, [Commit(FIRST, None, 1), Commit(OTHER, None, 2)], 0, 1),
        (Finding.FAILED_BUT_SOLD, [Commit(FIRST, None, 1), Answer(FIRST, Outcome.FAILED)], 1, 0),
        (Finding.FAILED_BUT_SOLD, [Answer(FIRST, Outcome.FAILED), Commit(FIRST, None, 1)], 1, 0),
        (Finding.FENCE_WENT_BACK, [Commit(FIRST, 2, 1), Commit(OTHER, 1, 2)], 0, 0),
        (Finding.FENCE_WENT_BACK, [Commit(FIRST, 2, 1), Commit(OTHER, 2, 2)], 0, 0),
    ],
)
def test_a_wrong_history_is_found_out(finding: Finding, events: list[Event], remaining: int, limit: int) -> None:
    assert finding in _findings(events, remaining=remaining, limit=limit)


@pytest.mark.parametrize("protocol", ProtocolName)
def test_a_seed_tells_the_same_story_twice(protocol: ProtocolName) -> None:
    assert [story_of(protocol, seed) for seed in range(20)] == [story_of(protocol, seed) for seed in range(20)]


@pytest.mark.parametrize("protocol", ProtocolName)
def test_telling_a_story_does_not_change_it(protocol: ProtocolName) -> None:
    assert all(not run_seed(protocol, seed) and "nothing wrong" in story_of(protocol, seed) for seed in range(50))


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (ProtocolName.REDIS_LUA, ("Decision.WAIT", "Decision.MISSING", "Decision.LIMITED", "SETTLE", "DOUBT", "MARK")),
        (ProtocolName.REDIS_LOCK, ("ACQUIRE", "RAISE", "not mine", "-> -1", "-> -2", "fence None")),
    ],
)
def test_the_runs_reach_every_kind_of_trouble(protocol: ProtocolName, words: tuple[str, ...]) -> None:
    told = "\n".join(story_of(protocol, seed) for seed in range(300))
    everywhere = (
        *("FAULT", "CANCELLED", "KILLED", "STALLS", "executes late", "no answer", "believes Redis away"),
        *("chaos flush", "chaos roll_back", "chaos _hang_redis", "chaos _stop_redis", "intruder"),
        *("statement fails", "times out waiting", "past its limit", "commit of"),
        *(f"answers {outcome}" for outcome in Outcome),
    )
    assert [word for word in (*everywhere, *words) if word not in told] == []
