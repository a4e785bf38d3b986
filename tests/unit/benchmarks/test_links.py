"""If these fail, one fault of the network ends another, or begins it anew."""

from __future__ import annotations

from typing import ClassVar

import pytest

from benchmarks.fault import Fault, Scene
from benchmarks.faults.net_drop_reply import NetDropReply
from benchmarks.faults.net_latency import NetLatency
from benchmarks.links import Links, redis_ping
from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.control import ProxyControl

SCENE = Scene("", "", "")


class Asked(ProxyControl):
    """Remembers what a link was told last."""

    now: ClassVar[dict[str, Behaviour]] = {}

    def __init__(self, address: str) -> None:
        """There is no proxy."""

    def behave(self, link: str, behaviour: Behaviour) -> int:
        self.now[link] = behaviour
        return 1


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    monkeypatch.setattr("benchmarks.links.ProxyControl", Asked)
    Asked.now.clear()
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
