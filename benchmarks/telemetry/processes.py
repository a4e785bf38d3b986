"""CPU and memory of the processes of a stack and of the load generator, from /proc.

Files are kept open and read again from their start, which costs a fifth of opening them anew: what watches ten times a
second must not take from the watched what it measures.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from benchmarks.telemetry.source import Reading

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FAMILY_EVERY_NS = 1_000_000_000  # how often new children are looked for
_CROWD, _TURNS = 10, 5  # of a group so large, such as Postgres' connections, a fifth is read at a time


class Processes:
    """CPU seconds used since its start, and memory of its own (resident less shared), of each group of processes.

    A group is a process of ``roots`` and all below it that is no root itself; of a root in ``apart``, each child is a
    group of its own, and one that takes the place of another gets the next number. A group of ``replaced`` is the
    child of a process (its pid) whose name begins so, and all below it; it may change.
    """

    name = "process"

    def __init__(
        self, roots: Mapping[str, int], *, apart: frozenset[str], replaced: Mapping[str, tuple[int, str]]
    ) -> None:
        self._roots, self._apart, self._replaced = roots, apart, replaced
        self._families: dict[str, list[int]] = {}
        self._looked_ns = 0
        self._watched: dict[int, _Watched] = {}
        self._used: dict[str, dict[int, tuple[float, int]]] = {}
        self._turn = 0
        self._numbers: dict[str, dict[int, int]] = {}  # of the children of a root in ``apart``

    def read(self) -> Iterable[Reading]:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns >= _FAMILY_EVERY_NS:
            self._looked_ns = now_ns
            self._families = dict(self._find())
            present = {pid for pids in self._families.values() for pid in pids}
            self._forget(present)
            for used in self._used.values():
                used.update({pid: (spent, 0) for pid, (spent, _) in used.items() if pid not in present})
        self._turn += 1
        for name, pids in self._families.items():
            used = self._used.setdefault(name, {})
            for pid in pids if len(pids) < _CROWD else pids[self._turn % _TURNS :: _TURNS]:
                found = self._usage(pid)
                # What has ended stays counted, so that a group's CPU seconds never fall.
                used[pid] = found if found is not None else (used.get(pid, (0.0, 0))[0], 0)
            if used:
                yield Reading(name, "cpu_s", sum(spent for spent, _ in used.values()))
                yield Reading(name, "memory_bytes", sum(held for _, held in used.values()))

    def heads(self, name: str) -> frozenset[int]:
        """The processes of a group without those below them; of one whose children are apart, they and their parent."""
        if name in self._replaced:
            parent, begins = self._replaced[name]
            return frozenset(pid for pid in _children(parent) if _name(pid).startswith(begins) and _lives(pid))
        root = self._roots[name]
        below = (pid for pid in _children(root) if not _is_helper(pid)) if name in self._apart else ()
        return frozenset(pid for pid in (root, *below) if _lives(pid))

    def close(self) -> None:
        """Close what is open in /proc."""
        self._forget(set())

    def _find(self) -> Iterable[tuple[str, list[int]]]:
        for name, root in self._roots.items():
            if name in self._apart:
                numbers = self._numbers.setdefault(name, {})
                for pid in sorted(_children(root)):
                    if pid in numbers or not _is_helper(pid):
                        yield f"{name} {numbers.setdefault(pid, len(numbers) + 1)}", [pid]
            else:
                yield name, [root, *self._below(root)]
        for name, (parent, begins) in self._replaced.items():
            found = [pid for pid in _children(parent) if _name(pid).startswith(begins)]
            yield name, [each for pid in found for each in (pid, *self._below(pid))]

    def _below(self, pid: int) -> list[int]:
        found = []
        for child in _children(pid):
            if child not in self._roots.values():
                found += [child, *self._below(child)]
        return found

    def _usage(self, pid: int) -> tuple[float, int] | None:
        """CPU seconds and private bytes; None if the process is gone."""
        try:
            if pid not in self._watched:
                self._watched[pid] = _Watched(pid)
            return self._watched[pid].usage()
        except OSError:
            self._forget(set(self._watched) - {pid})
            return None

    def _forget(self, kept: set[int]) -> None:
        for pid in set(self._watched) - kept:
            self._watched.pop(pid).close()


class _Watched:
    """One process and its open files."""

    def __init__(self, pid: int) -> None:
        self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            self._statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        except OSError:
            os.close(self._stat)
            raise

    def usage(self) -> tuple[float, int]:
        """CPU seconds and private bytes; OSError if the process is gone."""
        stat = os.pread(self._stat, 1024, 0).rpartition(b")")[2].split()
        pages = os.pread(self._statm, 128, 0).split()
        return (int(stat[11]) + int(stat[12])) / _TICKS_PER_S, (int(pages[1]) - int(pages[2])) * _PAGE_BYTES

    def close(self) -> None:
        os.close(self._stat)
        os.close(self._statm)


def _children(pid: int) -> list[int]:
    """The processes that a process started, by any of its threads; none if it is gone."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except FileNotFoundError:  # gone, or a kernel that does not list children
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(pid).children()]
    except OSError:
        pass
    return found


def _lives(pid: int) -> bool:
    """Whether it is there, and no mere entry that its parent has not read yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


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
