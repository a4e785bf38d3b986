"""CPU and memory of the processes of a stack and of the load generator, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from benchmarks.telemetry.source import Reading

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FAMILY_EVERY_NS = 1_000_000_000  # how often new children are looked for


class Processes:
    """CPU seconds used since its start, and memory of its own (resident less shared), of each group of processes.

    A group is a process of ``roots`` and all below it that is no root itself; of a root in ``apart``, each child is a
    group of its own. A group of ``replaced`` is the child of a process (its pid) whose name begins so; it may change.
    """

    name = "process"

    def __init__(
        self, roots: Mapping[str, int], *, apart: frozenset[str], replaced: Mapping[str, tuple[int, str]]
    ) -> None:
        self._roots, self._apart, self._replaced = roots, apart, replaced
        self._families: dict[str, list[int]] = {}
        self._looked_ns = 0
        self._spent: dict[tuple[str, int], float] = {}

    def read(self) -> Iterable[Reading]:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _FAMILY_EVERY_NS:
            self._looked_ns = now_ns
            self._families = dict(self._find())
        for name, pids in self._families.items():
            memory, known = 0, False
            for pid in pids:
                used = _usage(pid)
                if used is not None:
                    known = True
                    self._spent[name, pid] = used[0]
                    memory += used[1]
            if known:
                # What has ended stays counted, so that a group's CPU seconds never fall.
                yield Reading(name, "cpu_s", sum(spent for (group, _), spent in self._spent.items() if group == name))
                yield Reading(name, "memory_bytes", memory)

    def close(self) -> None:
        """Nothing to let go of."""

    def _find(self) -> Iterable[tuple[str, list[int]]]:
        children: dict[int, list[int]] = {}
        for pid in psutil.pids():
            parent = _parent(pid)
            if parent is not None:
                children.setdefault(parent, []).append(pid)
        for name, root in self._roots.items():
            if name in self._apart:
                working = [pid for pid in children.get(root, []) if not _is_helper(pid)]
                yield from ((f"{name} {number}", [pid]) for number, pid in enumerate(sorted(working), start=1))
            else:
                yield name, [root, *self._below(root, children)]
        for name, (parent, begins) in self._replaced.items():
            yield name, [pid for pid in children.get(parent, []) if _name(pid).startswith(begins)]

    def _below(self, pid: int, children: Mapping[int, list[int]]) -> list[int]:
        found = []
        for child in children.get(pid, []):
            if child not in self._roots.values():
                found += [child, *self._below(child, children)]
        return found


def _usage(pid: int) -> tuple[float, int] | None:
    """CPU seconds and private bytes; None if the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return None
    return (int(stat[11]) + int(stat[12])) / _TICKS_PER_S, (int(pages[1]) - int(pages[2])) * _PAGE_BYTES


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _is_helper(pid: int) -> bool:
    """Python's own process that watches over what multiprocessing shares."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
