"""What telemetry costs the system that it watches."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.accompany import Opened
from benchmarks.companions import telemetry_plan
from benchmarks.cost.lost import Lost
from benchmarks.locust_process import secrets_of
from flashbench.evidence.documents import SaleItem, SaleSpec
from flashbench.services import Stack, StackInfo, StackRequest
from flashbench.services.unprivileged import dies_with_parent
from flashbench.target.http import HttpTarget
from flashbench.target.protocol import OpenedSale

MOST_LOST = 0.02
PLENTY = 10**8


@dataclass(frozen=True, slots=True)
class TelemetryCost:
    """Throughput with telemetry awake and asleep, a pair each; ``cores``: what its process itself used while awake."""

    what: str
    awake_per_s: float
    asleep_per_s: float
    lost: Lost
    cores: float

    @property
    def met(self) -> bool:
        return self.lost.median <= MOST_LOST


def measure_telemetry(pairs: int, seconds: float, progress: Callable[[str], None]) -> list[TelemetryCost]:
    """Sales by the plain row lock, where commits are the limit, and refusals by Redis, where the app's CPU is."""
    with Stack.start(StackRequest(), progress=progress) as stack:
        return [
            _measure(stack.info, what, strategy, stock, pairs, seconds, progress)
            for what, strategy, stock in (("sales", "row_lock", PLENTY), ("refusals", "redis_lua", 0))
        ]


def _measure(
    stack: StackInfo, what: str, strategy: str, stock: int, pairs: int, seconds: float, progress: Callable[[str], None]
) -> TelemetryCost:
    assert stack.base_url is not None
    target = HttpTarget(stack.base_url, stack.admin_token)
    try:
        sale = target.open(SaleSpec(strategy=strategy, items=(SaleItem(sku="sku-1", stock=stock),)))
    finally:
        target.close()
    with tempfile.TemporaryDirectory(prefix="flashbench-cost-") as folder, _telemetry(stack, sale, folder) as watching:
        process = psutil.Process(watching.pid)
        before = process.cpu_times()
        arguments = [stack.base_url, sale.sale_id, folder, str(watching.pid), str(pairs), str(seconds)]
        probe = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cost.telemetry_probe", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dies_with_parent(),
        )
        found: list[dict[str, float]] = []
        with probe:
            assert probe.stdout is not None
            for line in probe.stdout:
                found.append(json.loads(line))
                awake, asleep = found[-1]["awake"], found[-1]["asleep"]
                progress(
                    f"[{len(found)}/{pairs}] {what}: with telemetry {awake:,.0f}/s, without {asleep:,.0f}/s, "
                    f"ratio {awake / asleep:.3f}"
                )
        if probe.returncode != 0:
            raise RuntimeError(f"the probe ended with exit code {probe.returncode}")
        after = process.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    return TelemetryCost(
        what=what,
        awake_per_s=statistics.median(half["awake"] for half in found),
        asleep_per_s=statistics.median(half["asleep"] for half in found),
        lost=Lost.of([half["awake"] for half in found], [half["asleep"] for half in found]),
        cores=spent_s / ((pairs + 1) * seconds),  # the warm-up was watched too
    )


@contextmanager
def _telemetry(stack: StackInfo, sale: OpenedSale, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process that samples, as it accompanies a trial."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.telemetry", telemetry_plan(stack).model_dump_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **secrets_of(stack)},
        preexec_fn=dies_with_parent(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    opened = Opened(
        folder=Path(folder), sale_id=sale.sale_id, skus=("sku-1",), counter=sale.counter, lock_keys=sale.lock_keys
    )
    try:
        process.stdin.write(json.dumps({"opened": opened.model_dump(mode="json")}).encode() + b"\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError("telemetry did not get ready")
        yield process
    finally:
        process.kill()
        process.communicate()
