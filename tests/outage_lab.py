"""A made-up outage lab: many faults against several strategies, several settings of the app, and several distances.

Everything is as it might be, good and bad: a strategy that fails too many buyers, a request that is too slow, locks
that outlive their lease, a fault that did not bite, a trial that never came to be.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flashbench.evidence.documents import SUITE, PlannedTrial, SuiteDocument
from tests.bundles import MS, BundleBuilder
from tests.outages import FINGERPRINT, long_sale, watch, with_fault

STRATEGIES = ("row_lock", "redis_lock", "redis_lua")
ATTEMPTS, APART_MS, STOCK = 400, 25, 420
SECONDS = ATTEMPTS * APART_MS / 1000


@dataclass(frozen=True)
class Met:
    """A fault of a case, and how buyers fare while it lasts: the share that fails, and how slow the others are."""

    fault: str
    from_s: float
    to_s: float
    options: Mapping[str, str] = field(default_factory=dict)
    failing: float = 0.0
    slow_ms: float = 20


REDIS_AWAY = frozenset({"redis_kill", "redis_hang", "redis_pause"})

CASES: dict[str, tuple[Met, ...]] = {
    "redis-kill": (Met("redis_kill", 3, 5, slow_ms=60),),
    "redis-hang-flapping": tuple(Met("redis_hang", at_s, at_s + 0.8, slow_ms=180) for at_s in (2.0, 3.6, 5.2)),
    "redis-black-hole": (Met("net_blackhole", 3, 5, {"store": "redis"}, slow_ms=160),),
    "postgres-stop": (Met("postgres_stop", 3, 4.2, failing=1.0),),
    "commit-reply-lost": (Met("net_drop_reply", 3, 5, {"store": "postgres", "matching": "COMMIT"}, failing=0.2),),
    "worker-dies-after-hold": (Met("failpoint", 3, 3.4, {"point": "after_hold", "action": "kill"}, failing=0.1),),
    "redis-and-a-worker": (Met("redis_kill", 3, 6, slow_ms=60), Met("worker_kill", 4, 4.6, failing=0.3)),
}


def lab(
    folder: Path,
    *,
    seeds: int = 2,
    cases: Sequence[str] = tuple(CASES),
    strategies: Sequence[str] = STRATEGIES,
    telemetry: bool = True,
    mishaps: bool = False,
) -> Path:
    """A suite of these cases, each strategy also without a fault. ``mishaps``: some targets missed, some trials bad."""
    planned: list[PlannedTrial] = []
    for seed in range(seeds):
        for strategy in strategies:
            for case in ("calm", *cases):
                faults = CASES.get(case, ())
                name = f"{case}-{strategy}-s{seed}"
                worse = mishaps and (case, strategy) == ("redis-kill", "redis_lock")
                builder = _trial(folder / name, strategy, faults, seed, telemetry=telemetry, worse=worse)
                if mishaps and (case, strategy, seed) == ("redis-black-hole", "redis_lua", 0):
                    builder.faults = [each for each in builder.faults if each.step != "bit"]
                if mishaps and (case, strategy, seed) == ("commit-reply-lost", "redis_lua", 0):
                    builder.change_row(0, quantity=7)
                builder.trial_fields |= {"case": case, "trial": name}
                planned.append(_planned(builder, name, case, seed))
                if not (mishaps and (case, strategy, seed) == ("worker-dies-after-hold", "redis_lua", 1)):
                    builder.build()
    return _suite(folder, planned)


def wired(folder: Path, wirings: Mapping[str, Mapping[str, Any]], *, fault: bool, seeds: int = 1) -> Path:
    """A suite of cases, by name, that differ in nothing but their wiring; with a killed Redis if so."""
    planned = []
    for place, (case, wiring) in enumerate(wirings.items()):
        for seed in range(seeds):
            for number, strategy in enumerate(STRATEGIES):
                name = f"{case}-{strategy}-s{seed}"
                faults = CASES["redis-kill"] if fault else ()
                reads = 40.0 if not wiring.get("app") else 400.0 * place
                took_ms = 3 + 2 * number + float(wiring.get("store_rtt_ms", 0)) * (5 - number)
                builder = _trial(folder / name, strategy, faults, seed, reads_per_s=reads, took_ms=took_ms)
                builder.trial_fields |= {"case": case, "trial": name, "wiring": dict(wiring)}
                builder.build()
                planned.append(_planned(builder, name, case, seed))
    return _suite(folder, planned)


def _planned(builder: BundleBuilder, name: str, case: str, seed: int) -> PlannedTrial:
    fault = builder.trial_fields.get("fault")
    return PlannedTrial(trial=name, strategy=builder.strategy, scenario="sustained", case=case, fault=fault, seed=seed)


def _trial(
    folder: Path,
    strategy: str,
    faults: Sequence[Met],
    seed: int,
    *,
    telemetry: bool = True,
    worse: bool = False,
    reads_per_s: float = 40.0,
    took_ms: float = 3.0,
) -> BundleBuilder:
    chance = random.Random(f"{strategy}{seed}{faults}")
    at_s = [(number // 2) * 2 * APART_MS / 1000 for number in range(ATTEMPTS)]
    hit = [_during(faults, moment) for moment in at_s]
    failing = {
        number
        for number, met in enumerate(hit)
        if met is not None and number > 1 and chance.random() < (0.5 if worse else met.failing)
    }
    unknowns = 2 if any(met.failing for met in faults) else 0
    builder = long_sale(folder, attempts=ATTEMPTS, apart_ms=APART_MS, stock=STOCK, failing=failing, unknowns=unknowns)
    builder.strategy = strategy
    builder.trial_fields |= {"scenario": "sustained", "seed": seed}
    for placed, met in zip(builder.load, hit, strict=True):
        if placed.record.returned_ns is not None:
            slow_ms = met.slow_ms if met is not None and strategy != "row_lock" else 0.0
            took = (took_ms + 0.1 * seed + chance.expovariate(1) + slow_ms * chance.random()) * MS
            placed.record.returned_ns = placed.record.invoked_ns + round(took)
    if worse:
        slowest = builder.load[130].record
        slowest.returned_ns = slowest.invoked_ns + 2350 * MS
    for met in faults:
        with_fault(builder, met.from_s + 0.01 * seed, met.to_s + 0.02 * seed, met.fault, options=met.options)
    if telemetry:
        _watch(builder, strategy, faults, chance, reads_per_s, longest_s=3.4 if worse else 0.3)
    return builder


def _during(faults: Sequence[Met], at_s: float) -> Met | None:
    return next((met for met in faults if met.from_s <= at_s < met.to_s), None)


def _watch(
    builder: BundleBuilder,
    strategy: str,
    faults: Sequence[Met],
    chance: random.Random,
    reads_per_s: float,
    longest_s: float,
) -> None:
    """Telemetry ten times a second: Redis is away while it is killed or hung, Postgres while it is stopped."""
    statements, reads, left = 0.0, 0.0, float(STOCK)
    for tick in range(round(10 * SECONDS)):
        at_s = tick / 10
        met = _during(faults, at_s)
        redis_away = met is not None and met.fault in REDIS_AWAY
        postgres_away = met is not None and met.fault == "postgres_stop"
        unseen = redis_away or (met is not None and met.options.get("store") == "redis")
        statements += (50 if unseen or strategy != "redis_lua" else 20) * chance.uniform(0.8, 1.2) * (not postgres_away)
        reads += reads_per_s / 10 * (3.0 if unseen else 0.2)
        left -= 0.0 if postgres_away else 4.0
        watch(builder, "redis", "", "up", {at_s: 0 if redis_away else 1})
        watch(builder, "postgres", "", "up", {at_s: 0 if postgres_away else 1})
        if not postgres_away:
            watch(builder, "postgres", "", "statements", {at_s: round(statements)})
            watch(builder, "postgres", "", "wal_bytes", {at_s: 1000 * tick})
            watch(builder, "postgres", "", "waiting_for_a_lock", {at_s: tick % 3})
            watch(builder, "postgres", "", "oldest_transaction_s", {at_s: round(chance.uniform(0, 0.05), 3)})
            watch(builder, "postgres", "sku-1", "remaining", {at_s: left})
        for worker in ("worker 1", "worker 2"):
            watch(builder, "app", worker, "breaker_state", {at_s: 2 if unseen and strategy != "row_lock" else 0})
            watch(builder, "app", worker, "database_reads", {at_s: round(reads / 2)})
        watch(builder, "process", "app worker 1", "cpu_s", {at_s: 0.02 * tick})
        if strategy == "redis_lua" and not redis_away:
            watch(builder, "redis", "sku-1", "remaining", {at_s: left})
        if strategy == "redis_lock" and not redis_away:
            since_s = at_s % (longest_s + 0.1)
            watch(builder, "redis", "", "locks_held", {at_s: 1})
            watch(builder, "redis", "lock:sku-1", "lock_held_s", {at_s: round(since_s, 1) if since_s >= 0.1 else 0.0})
            watch(builder, "redis", "lock:sku-1", "lock_left_s", {at_s: round(3 - min(since_s, 2.9), 1)})


def _suite(folder: Path, planned: Sequence[PlannedTrial]) -> Path:
    control = BundleBuilder.honest(folder / "control", control=True, expectation="fail:I1", scenario="sustained")
    control.strategy = "naive"
    control.change_row(0, quantity=7)
    control.build()
    caught = PlannedTrial(
        trial="control", strategy="naive", scenario="sustained", seed=0, control=True, expectation="fail:I1"
    )
    document = SuiteDocument(
        suite="outages",
        trials=(*planned, caught),
        command=("flashbench", "run", "outages"),
        fingerprint=FINGERPRINT,
        cards={"redis_lua": {"What it suits": "Many buyers.", "What it gives up": "Something."}},
    )
    (folder / SUITE).write_text(document.to_json())
    return folder
