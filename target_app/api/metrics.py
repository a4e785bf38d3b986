"""Prometheus metrics over all workers: each writes to files in PROMETHEUS_MULTIPROC_DIR, any can answer for all."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

IN_FLIGHT = Gauge("target_app_in_flight", "Purchases being decided", multiprocess_mode="livesum")
PURCHASES = Counter("target_app_purchases", "Purchases by strategy and result", ["strategy", "result"])
PRODUCT_READS = Counter("target_app_product_reads", "Product reads by what the cache did", ["cache"])
RECOMPUTES = Counter("target_app_cache_recomputes", "Product reads that had to ask Postgres, those that were shed too")
DATABASE_READS = Counter("target_app_database_reads", "Product reads that came to Postgres")
CONCURRENT_RECOMPUTES = Gauge(
    "target_app_cache_concurrent_recomputes",
    "The most recomputes of one key at once in a worker",
    multiprocess_mode="livemax",
)
BREAKER = Gauge("target_app_breaker_state", "0 closed, 1 half open, 2 open; a worker each", multiprocess_mode="liveall")


def exposition() -> bytes:
    """The text format, over all live workers where they share a folder."""
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not shared:
        return generate_latest(REGISTRY)
    for path in Path(shared).glob("gauge_live*_*.db"):
        match = re.search(r"_(\d+)\.db$", path.name)
        if match and not psutil.pid_exists(int(match[1])):
            mark_process_dead(int(match[1]))  # or its last gauge would be counted for ever
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
