"""Samples every source ten times a second, from before the load until after it, into ``telemetry.ndjson``.

``python -m benchmarks.telemetry PLAN`` with a ``Plan`` in JSON; the stores' URLs are in the environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO

from benchmarks.accompany import Opened, Trial
from benchmarks.telemetry.app import App
from benchmarks.telemetry.plan import Plan
from benchmarks.telemetry.postgres import Postgres
from benchmarks.telemetry.processes import Processes
from benchmarks.telemetry.redis import Redis
from benchmarks.telemetry.roll import Roll
from benchmarks.telemetry.source import Reading, Source

TICK_NS = 100_000_000
FILE = "telemetry.ndjson"
NICE = 10  # who only watches, waits
MOST_SKUS = 10  # whose stock and locks are followed: the hottest


def sources(opened: Opened, plan: Plan) -> list[Source]:
    """Everything there is to be read."""
    database_url, redis_url = os.environ["FLASHBENCH_DATABASE_URL"], os.environ["FLASHBENCH_REDIS_URL"]
    processes = {**plan.processes, "load": os.getppid(), "telemetry": os.getpid()}
    return [
        Processes(processes, apart=plan.apart, replaced=plan.replaced),
        Postgres(database_url, opened.sale_id),
        Redis(redis_url, opened.sale_id, opened.skus[:MOST_SKUS], opened.counter, opened.lock_keys),
        App(plan.gauges),
    ]


def sample(all_sources: Sequence[Source], file: IO[str]) -> None:
    """Append a line of JSON a value."""
    for source in all_sources:
        readings = list(source.read())
        at_ns = time.monotonic_ns()
        file.write("".join(_lines(at_ns, source.name, readings)))


def _lines(at_ns: int, name: str, readings: Sequence[Reading]) -> Iterator[str]:
    for subject, metric, value in readings:
        yield (
            f'{{"at_ns":{at_ns},"source":"{name}","subject":{json.dumps(subject)},'
            f'"metric":"{metric}","value":{value}}}\n'
        )


def main(words: list[str]) -> int:
    """Accompany one trial."""
    os.nice(NICE)
    trial = Trial()
    plan = Plan.model_validate_json(words[0])
    all_sources = sources(trial.opened, plan)
    roll = Roll(plan)
    with (trial.opened.folder / FILE).open("a") as file:
        sample(all_sources, file)
        trial.ready()
        due_ns = time.monotonic_ns()
        while not trial.over:
            due_ns = max(due_ns + TICK_NS, time.monotonic_ns())  # late ticks are left out, not made up for
            while not trial.over and time.monotonic_ns() < due_ns:
                trial.listen_until(due_ns)
            sample(all_sources, file)
            file.flush()
    for sentence in roll.missing():
        sys.stdout.write(f"{sentence}\n")
    for source in all_sources:
        source.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
