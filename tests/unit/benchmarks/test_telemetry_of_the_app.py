"""If these fail, telemetry counts what a killed worker did twice, or not at all, or takes a dead worker for alive."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from benchmarks.telemetry import app
from benchmarks.telemetry.app import App
from benchmarks.telemetry.processes import Processes


class Worker:
    """The files in which a worker of the app counts."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._counters = MmapedDict(str(folder / f"counter_{pid}.db"))
        self._gauges = MmapedDict(str(folder / f"gauge_liveall_{pid}.db"))
        self.name = f"worker {pid}"

    def count(self, reads: int) -> None:
        for name, value in (("purchases", 3), ("database_reads", reads)):
            metric = f"target_app_{name}"
            self._counters.write_value(mmap_key(metric, f"{metric}_total", [], [], "?"), float(value), 0.0)

    def state(self, breaker: float) -> None:
        key = mmap_key("target_app_breaker_state", "target_app_breaker_state", [], [], "?")
        self._gauges.write_value(key, breaker, 0.0)

    def close(self) -> None:
        self._counters.close()
        self._gauges.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers count; a look for new ones is made every time."""
    monkeypatch.setattr(app, "_LOOK_EVERY_NS", 0)
    return tmp_path


@pytest.fixture
def worker(folder: Path) -> Iterator[Worker]:
    with closing(Worker(folder, os.getpid())) as alive:
        yield alive


def seen(source: App) -> dict[tuple[str, str], float]:
    return {(each.subject, each.metric): each.value for each in source.read()}


def test_reads_of_the_database_and_the_breaker_are_read_as_they_change(folder: Path, worker: Worker) -> None:
    worker.count(5)
    worker.state(0)
    with closing(App(folder)) as source:
        assert seen(source) == {(worker.name, "database_reads"): 5, (worker.name, "breaker_state"): 0}
        worker.count(9)
        worker.state(2)
        assert seen(source) == {(worker.name, "database_reads"): 9, (worker.name, "breaker_state"): 2}


def test_values_change_without_a_look_for_new_workers(
    folder: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.count(5)
    monkeypatch.setattr(app, "_LOOK_EVERY_NS", 10**15)
    with closing(App(folder)) as source:
        source._looked_ns = -(10**15)
        assert seen(source) == {(worker.name, "database_reads"): 5}
        worker.count(6)
        assert seen(source) == {(worker.name, "database_reads"): 6}


def test_a_worker_that_is_gone_is_left_out_and_one_that_begins_is_no_trouble(folder: Path, worker: Worker) -> None:
    worker.count(5)
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    with closing(Worker(folder, int(gone.stdout))) as dead:
        dead.count(100)
        dead.state(2)
    (folder / f"counter_{os.getppid()}.db").write_bytes(b"")
    with closing(App(folder)) as source:
        assert seen(source) == {(worker.name, "database_reads"): 5}


def test_a_worker_in_the_place_of_another_gets_a_number_of_its_own() -> None:
    asleep = "import sys; sys.stdin.read()"
    workers = [subprocess.Popen([sys.executable, "-c", asleep], stdin=subprocess.PIPE) for _ in range(3)]
    watched = Processes({"app worker": os.getpid()}, apart=frozenset({"app worker"}), replaced={})
    try:
        names = [name for name, pids in watched._find() if pids == [workers[2].pid]]
        workers[0].communicate()
        assert [name for name, pids in watched._find() if pids == [workers[2].pid]] == names
        fourth = subprocess.Popen([sys.executable, "-c", asleep], stdin=subprocess.PIPE)
        workers.append(fourth)
        numbers = [name for name, pids in watched._find() if pids == [fourth.pid]]
        assert numbers
        assert numbers != names
    finally:
        watched.close()
        for each in workers:
            if each.poll() is None:
                each.communicate()
