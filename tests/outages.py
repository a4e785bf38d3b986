"""Made-up trials that meet faults, and suites of them: for tests of what is said about outages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from flashbench.evidence.documents import SUITE, FaultEvent, PlannedFault, PlannedTrial, SuiteDocument
from tests.bundles import MS, OPENED_NS, BundleBuilder

S = 1000 * MS


FINGERPRINT: dict[str, dict[str, Any]] = {
    "work": {"suite": "made-up", "revision": "a1"},
    "machine": {"cpu": "abacus", "fsync_p50_us": 1200},
}


def long_sale(
    folder: Path,
    *,
    attempts: int = 100,
    apart_ms: int = 100,
    stock: int = 120,
    took_ns: int = 3 * MS,
    unknowns: int = 0,
    failing: Collection[int] = (),
) -> BundleBuilder:
    """Two arrivals at once every other ``apart_ms``, each answered after ``took_ns``; ten seconds by default.

    What the load leaves is bought in the drain.
    """
    left = max(0, stock - attempts) + len(failing) + unknowns
    builder = BundleBuilder.honest(
        folder, stock=stock, attempts=attempts, drain_attempts=left + 34, unknowns=unknowns, failing=failing
    )
    for number, placed in enumerate(builder.load):
        at_ns = OPENED_NS + (number // 2) * 2 * apart_ms * MS
        placed.record.intended_ns = placed.record.invoked_ns = at_ns
        if placed.record.returned_ns is not None:
            placed.record.returned_ns = at_ns + took_ns
    later_ns = attempts * apart_ms * MS
    for placed in builder.drain:
        record = placed.record
        assert record.returned_ns is not None
        record.intended_ns, record.invoked_ns = record.intended_ns + later_ns, record.invoked_ns + later_ns
        record.returned_ns += later_ns
    return builder


def with_fault(
    builder: BundleBuilder,
    from_s: float,
    to_s: float,
    fault: str = "redis_kill",
    *,
    bites: bool = True,
    options: Mapping[str, str] | None = None,
) -> BundleBuilder:
    """One more fault, planned and met; one that does not bite is all the same injected and healed."""
    planned: tuple[PlannedFault, ...] = builder.trial_fields.get("planned_faults", ())
    place = len(planned)
    planned += (PlannedFault(fault=fault, at_s=from_s, for_s=to_s - from_s, options=dict(options or {})),)
    builder.trial_fields |= {"planned_faults": planned, "fault": "+".join(each.fault for each in planned)}
    steps = [
        ("injected", from_s, ""),
        ("bit", from_s + 0.02, "a connection is refused"),
        ("healed", to_s, "it answers"),
    ]
    for step, at_s, detail in steps:
        if bites or step != "bit":
            at_ns = OPENED_NS + round(at_s * S)
            event = FaultEvent(fault=fault, place=place, step=cast(Any, step), at_ns=at_ns, detail=detail)
            builder.faults.append(event)
    return builder


def watch(builder: BundleBuilder, source: str, subject: str, metric: str, values: dict[float, float]) -> None:
    for at_s, value in values.items():
        builder.telemetry.append((OPENED_NS + round(at_s * S), source, subject, metric, value))


def outage_suite(
    folder: Path,
    *,
    seeds: int = 1,
    telemetry: bool = True,
    strategies: Sequence[str] = ("row_lock", "redis_lua"),
    faults: Sequence[str | None] = (None, "redis_kill"),
    answer_ms: float = 3,
    crowd_apart_ms: int = 0,
    crowd_wiring: dict[str, Any] | None = None,
    fingerprint: dict[str, dict[str, Any]] = FINGERPRINT,
) -> Path:
    """Strategies with and without a killed Redis, and a control that oversells; all as planned, and passed.

    Purchases are answered after ``answer_ms``, and in every further seed a little later. With ``crowd_apart_ms``
    between their arrivals, the row lock also meets buyers of whom a dozen wait at a time, until it has sold out, over
    ``crowd_wiring``.
    """
    planned = []
    for seed in range(seeds):
        for strategy in strategies:
            for fault in faults:
                name = "-".join(filter(None, ("sustained", fault, strategy, f"s{seed}")))
                case = "-".join(filter(None, ("sustained", fault)))
                took_ns = round((answer_ms + 0.1 * seed) * MS)
                builder = long_sale(folder / name, attempts=400, apart_ms=25, stock=420, took_ns=took_ns)
                builder.strategy = strategy
                builder.trial_fields |= {"scenario": "sustained", "case": case, "seed": seed, "trial": name}
                if fault is not None:
                    with_fault(builder, 3, 5)
                if telemetry:
                    _watch_all(builder, strategy, away=fault is not None)
                builder.build()
                planned.append(
                    PlannedTrial(trial=name, strategy=strategy, scenario="sustained", case=case, fault=fault, seed=seed)
                )
    for seed in range(seeds if crowd_apart_ms else 0):
        name = f"crowd-row_lock-s{seed}"
        builder = long_sale(
            folder / name, attempts=200, apart_ms=crowd_apart_ms, stock=40, took_ns=12 * crowd_apart_ms * MS
        )
        builder.strategy = "row_lock"
        builder.trial_fields |= {"scenario": "flash_sale", "case": "crowd", "seed": seed, "trial": name}
        if crowd_wiring is not None:
            builder.trial_fields["wiring"] = crowd_wiring
        builder.build()
        planned.append(
            PlannedTrial(trial=name, strategy="row_lock", scenario="flash_sale", case="crowd", fault=None, seed=seed)
        )
    control = BundleBuilder.honest(folder / "control", control=True, expectation="fail:I1", scenario="sustained")
    control.strategy = "naive"
    control.change_row(0, quantity=7)
    control.build()
    planned.append(
        PlannedTrial(
            trial="control", strategy="naive", scenario="sustained", seed=0, control=True, expectation="fail:I1"
        )
    )
    document = SuiteDocument(
        suite="made-up",
        trials=tuple(planned),
        command=("flashbench", "run", "made-up"),
        fingerprint=fingerprint,
        cards={"redis_lua": {"What it suits": "Many buyers.", "What it gives up": "Something."}},
    )
    (folder / SUITE).write_text(document.to_json())
    return folder


def _watch_all(builder: BundleBuilder, strategy: str, *, away: bool) -> None:
    """Telemetry ten times a second for ten seconds; Redis away from 3 s to 5 s if so."""
    for tick in range(100):
        at_s = tick / 10
        gone = away and 3 <= at_s < 5
        watch(builder, "redis", "", "up", {at_s: 0 if gone else 1})
        watch(builder, "postgres", "", "statements", {at_s: 50 * tick})
        watch(builder, "postgres", "", "wal_bytes", {at_s: 1000 * tick})
        watch(builder, "postgres", "", "waiting_for_a_lock", {at_s: tick % 3})
        watch(builder, "process", "app worker 1", "cpu_s", {at_s: 0.02 * tick})
        watch(builder, "postgres", "sku-1", "remaining", {at_s: 1000 - 4 * tick})
        for worker in ("worker 1", "worker 2"):
            opened = gone and strategy != "row_lock"
            watch(builder, "app", worker, "breaker_state", {at_s: 2 if opened else 0})
        if strategy != "row_lock" and not gone:
            watch(builder, "redis", "sku-1", "remaining", {at_s: 1000 - 4 * tick})
