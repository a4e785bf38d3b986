"""If these fail, a link is asked for something that it can't do, or leads to another place than it says."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from flashbench import UsageError
from flashbench.services import StackRequest
from flashbench.services.proxy.behaviour import Behaviour
from flashbench.services.proxy.plan import host_and_port, server_place, through


def test_the_default_changes_nothing() -> None:
    plain = Behaviour()

    assert not plain.delays
    assert plain.delay_s(Random(1)) == 0
    assert plain.cut_after_bytes is None
    assert not any((plain.blackhole, plain.refuse, plain.reset, plain.drop_reply))


def test_jitter_comes_on_top_of_latency_and_reaches_from_nothing_to_itself() -> None:
    chance, behaviour = Random(1), Behaviour(latency_ms=10, jitter_ms=4)

    drawn_ms = [1000 * behaviour.delay_s(chance) for _ in range(2000)]

    assert behaviour.delays
    assert 10 <= min(drawn_ms) < 10.1
    assert 13.9 < max(drawn_ms) <= 14
    assert 11.8 < sum(drawn_ms) / 2000 < 12.2


@pytest.mark.parametrize(
    "wrong", [{"latency_ms": -1}, {"share": 1.5}, {"ending": "bang"}, {"cut_after_bytes": -1}, {"latency": 1}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Behaviour.model_validate(wrong)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:secret@127.0.0.1:7000/0", "127.0.0.1:7000"),
        ("redis://cache.example/0", "cache.example:6379"),
        ("postgresql://u:p%40ss@db.example:6000/shop?sslmode=disable", "db.example:6000"),
        ("postgresql://u@db.example/shop", "db.example:5432"),
        ("redis://[::1]:7000", "[::1]:7000"),
        ("127.0.0.1:7000", "127.0.0.1:7000"),
    ],
)
def test_the_servers_place_is_read_from_its_url(url: str, place: str) -> None:
    assert server_place(url) == place
    host, port = host_and_port(place)
    assert place.replace("[", "").replace("]", "") == f"{host}:{port}"


@pytest.mark.parametrize(
    "url", ["unix:///run/redis.sock", "postgresql:///shop?host=/run", "postgresql://a:1,b:2/shop", "nowhere", "a:b"]
)
def test_a_url_without_one_place_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="one host and port"):
        server_place(url)


def test_the_way_through_the_proxy_keeps_all_but_the_place() -> None:
    assert through("postgresql://u:p%40ss@db.example:6000/shop?sslmode=disable", 9) == (
        "postgresql://u:p%40ss@127.0.0.1:9/shop?sslmode=disable"
    )
    assert through("redis://cache.example/0", 9) == "redis://127.0.0.1:9/0"


def test_a_round_trip_or_a_replica_needs_the_proxy() -> None:
    assert not StackRequest().proxied
    assert StackRequest(proxied=True).proxied
    assert StackRequest(store_rtt_ms=0.5).proxied
    assert StackRequest(replica=True).proxied
    assert StackRequest.model_validate(StackRequest(store_rtt_ms=0.5).model_dump()).proxied
