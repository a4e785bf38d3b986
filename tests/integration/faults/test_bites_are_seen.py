"""If these fail, a fault is believed because it was ordered: what nobody carries out must not be seen to bite."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest
import redis

from benchmarks.fault import Fault, Scene, fault_class
from benchmarks.faults import postgres_pool, postgres_row_lock, postgres_terminate, redis_pause
from benchmarks.probes import redis_client
from flashbench.services import StackInfo
from flashbench.services.proxy.control import ProxyControl
from tests.integration.faults.shop import POOL, scene, selling, until_shown

LOOKS_S = 0.3
NOT_CARRIED_OUT: list[tuple[str, Any, str, Any]] = [
    ("redis_flush", redis.Redis, "flushall", lambda *_: True),
    ("redis_script_flush", redis.Redis, "script_flush", lambda *_: True),
    ("redis_full", redis.Redis, "config_set", lambda *_: True),
    ("redis_pause", redis_pause.RedisPause, "_say", lambda *_: None),
    ("postgres_row_lock", postgres_row_lock, "_LOCK", "SELECT 1 FROM stock WHERE sale_id = %(sale)s LIMIT 1"),
    ("postgres_pool", postgres_pool, "_LOCKS", ("SELECT 1 FROM stock LIMIT 1",)),
    ("postgres_terminate", postgres_terminate, "_END", postgres_terminate._SESSIONS),
    ("worker_kill", psutil.Process, "kill", lambda _: None),
    ("worker_hang", psutil.Process, "suspend", lambda _: None),
]
ORDERED = ["redis_kill", "redis_hang", "redis_restart", "redis_rollback", "postgres_stop"]
OF_LINKS = ["net_latency", "net_blackhole", "net_reset", "net_cut", "net_drop_reply"]


def never_bites(fault: Fault) -> None:
    fault.prepare()
    fault.inject()
    deadline_s = time.monotonic() + LOOKS_S
    while time.monotonic() < deadline_s:
        assert fault.bite() is None
        time.sleep(0.02)


@pytest.mark.parametrize(("name", "where", "what", "instead"), NOT_CARRIED_OUT, ids=lambda value: str(value)[:20])
def test_a_deed_that_does_nothing_does_not_bite(
    faulty_stack: StackInfo, monkeypatch: pytest.MonkeyPatch, name: str, where: Any, what: str, instead: Any
) -> None:
    with selling(faulty_stack, "row_lock", 4 * POOL) as shop:
        fault = fault_class(name)(scene(faulty_stack, shop.sale_id))
        with monkeypatch.context() as patched:
            patched.setattr(where, what, instead)
            never_bites(fault)
        fault.heal()
        assert until_shown(fault.healed)
        shop.sells()


@pytest.mark.parametrize("name", ORDERED)
def test_an_order_that_is_not_carried_out_does_not_bite(
    faulty_stack: StackInfo, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Scene, "order", lambda *_: time.monotonic_ns())
    fault = fault_class(name)(scene(faulty_stack))
    never_bites(fault)
    fault.heal()


@pytest.mark.parametrize("store", ["redis", "postgres"])
@pytest.mark.parametrize("name", OF_LINKS)
def test_a_link_that_goes_on_as_ever_does_not_bite(
    proxied_stack: StackInfo, monkeypatch: pytest.MonkeyPatch, name: str, store: str
) -> None:
    monkeypatch.setattr(ProxyControl, "behave", lambda *_: time.monotonic_ns())
    with selling(proxied_stack) as shop:
        fault = fault_class(name)(scene(proxied_stack, shop.sale_id), {"store": store})
        never_bites(fault)
        fault.heal()


@pytest.mark.parametrize("order", ["behave", "point"])
def test_a_replica_that_missed_nothing_or_is_nobodys_primary_does_not_bite(
    proxied_stack: StackInfo, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    promotion = fault_class("redis_promotion")(scene(proxied_stack), {"behind_s": 0.1})
    with monkeypatch.context() as patched:
        patched.setattr(ProxyControl, order, lambda *_: time.monotonic_ns())
        never_bites(promotion)
    promotion.heal()
    assert until_shown(promotion.healed)
    with redis_client(proxied_stack.redis_url) as client:
        assert client.ping()
