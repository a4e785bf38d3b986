"""Did two runs do the same work, on the same machine?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The code under test is what a comparison is about, so these may differ; they are named all the same.
UNDER_TEST = frozenset({"revision", "code", "plugins"})

_MACHINE = ("cpu", "cores", "memory_gib", "kernel", "scratch_filesystem")
_MEASURED = ("fsync_p50_us", "postgres_round_trip_p50_us", "redis_round_trip_p50_us")
_FACTOR = 3.0  # beyond it, a disk or a network is another one

Facts = Mapping[str, Any]


def work_differences(base: Facts, new: Facts) -> list[str]:
    """What was not asked of both alike, one sentence each; empty if the same work was done."""
    return [
        sentence
        for name in sorted(set(base) | set(new))
        if name not in UNDER_TEST
        for sentence in _different(name, base.get(name), new.get(name))
    ]


def under_test(base: Facts, new: Facts) -> list[str]:
    """How the code under test differs."""
    return [sentence for name in sorted(UNDER_TEST) for sentence in _different(name, base.get(name), new.get(name))]


def machine_differences(base: Facts, new: Facts) -> list[str]:
    """How the machines differ, one sentence each."""
    return [*build_differences(base, new), *speed_differences(base, new)]


def build_differences(base: Facts, new: Facts) -> list[str]:
    """How the machines differ in what they are, whatever else is going on there."""
    return [sentence for name in _MACHINE for sentence in _different(name, base.get(name), new.get(name))]


def speed_differences(base: Facts, new: Facts) -> list[str]:
    """Which measured times differ: one is three times the other."""
    found = []
    for name in _MEASURED:
        before, after = base.get(name), new.get(name)
        if isinstance(before, int | float) and isinstance(after, int | float) and min(before, after) > 0:
            if max(before, after) / min(before, after) > _FACTOR:
                found += _different(name, before, after)
        elif before != after:
            found += _different(name, before, after)
    return found


def _different(name: str, before: Any, after: Any) -> list[str]:
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [
            sentence
            for part in sorted({*before, *after}, key=str)
            for sentence in _different(f"{name}, {part}", before.get(part), after.get(part))
        ]
    return [f"{name.replace('_', ' ')}: {_shown(before)} against {_shown(after)}"]


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
