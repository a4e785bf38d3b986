"""If these fail, one fault of the network ends another, or begins it anew."""

from __future__ import annotations

from typing import ClassVar

import pytest

from benchmarks.fault import Fault, Scene
from benchmarks.faults.net_drop_reply import NetDropReply
from benchmarks.faults.net_latency import NetLatency
from benchmarks.links import Links, redis_ping
from flashbench.services.proxy.behaviour import Behaviour, Counts
from flashbench.services.proxy.control import ProxyControl

SCENE = Scene("", "", "")


class Asked(ProxyControl):
    """Remembers what a link was told last."""

    now: ClassVar[dict[str, Behaviour]] = {}
    counted: ClassVar[Counts] = Counts()

    def __init__(self, address: str) -> None:
        """There is no proxy."""

    def behave(self, link: str, behaviour: Behaviour) -> int:
        self.now[link] = behaviour
        return 1

    def counts(self, link: str) -> Counts:
        return self.counted


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    monkeypatch.setattr("benchmarks.links.ProxyControl", Asked)
    Asked.now.clear()
    monkeypatch.setattr(Asked, "counted", Counts())
    return Links("nowhere")


def test_faults_of_one_link_hold_together_and_end_one_by_one(links: Links) -> None:
    slow = NetLatency(SCENE, {"store": "redis", "latency_ms": 7.0})
    deaf = NetDropReply(SCENE, {"store": "redis", "matching": "EVALSHA"})

    links.ask("redis", slow, slow.behaviour())
    links.ask("redis", deaf, deaf.behaviour())
    assert Asked.now == {"redis": Behaviour(latency_ms=7, drop_reply=True, matching="EVALSHA")}
    links.let_go("redis", slow)
    assert Asked.now == {"redis": Behaviour(drop_reply=True, matching="EVALSHA")}
    links.let_go("redis", deaf)
    assert Asked.now == {"redis": Behaviour()}


def test_a_reset_happens_once_beside_what_lasts(links: Links) -> None:
    slow: Fault = NetLatency(SCENE, {"store": "postgres"})
    other: Fault = NetLatency(SCENE, {"store": "postgres"})
    links.ask("postgres", slow, Behaviour(latency_ms=7))

    links.ask_once("postgres", Behaviour(reset=True))
    assert Asked.now["postgres"] == Behaviour(latency_ms=7, reset=True)
    links.ask("postgres", other, Behaviour(blackhole=True))
    assert Asked.now["postgres"] == Behaviour(latency_ms=7, blackhole=True)


def test_a_knock_is_a_command_that_redis_understands() -> None:
    assert redis_ping() == b"*1\r\n$4\r\nPING\r\n"
    assert redis_ping("EVALSHA x") == b"*2\r\n$4\r\nPING\r\n$9\r\nEVALSHA x\r\n"


def test_only_a_link_that_nobody_uses_is_knocked_at(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer to the harness that is thrown away does not show that one to the app was."""
    now_ns = 10_000_000_000
    knocks: list[bytes] = []

    def passed(up: int, dropped: int = 0) -> None:
        before = Asked.counted
        monkeypatch.setattr(
            Asked, "counted", Counts(bytes_up=before.bytes_up + up, dropped_replies=before.dropped_replies + dropped)
        )

    def knock(_: NetDropReply, request: bytes) -> None:
        knocks.append(request)
        passed(len(request), dropped=len(knocks) // 2)

    monkeypatch.setattr(NetDropReply, "_send", knock)
    monkeypatch.setattr("benchmarks.links.time.monotonic_ns", lambda: now_ns)
    scene = Scene("", "", "", proxy="nowhere")
    scene.__dict__["links"] = links
    deaf = NetDropReply(scene, {"store": "redis", "matching": "EVALSHA"})
    deaf.inject()
    assert (deaf.bite(), knocks) == (None, [])
    for _ in range(20):  # the app asks for something else all the time
        now_ns += 50_000_000
        passed(100)
        assert deaf.bite() is None
    now_ns += 150_000_000
    assert (deaf.bite(), knocks) == (None, [])
    now_ns += 50_000_000
    assert (deaf.bite(), len(knocks)) == (None, 1), "of which the lot was against it"
    now_ns += 1
    assert (deaf.bite(), len(knocks)) == ("1 answers of the store were thrown away", 2), "and then waits no more"
