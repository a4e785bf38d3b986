"""Telemetry as arrays over time, in seconds since the release of the load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from flashbench.evidence.bundle import Bundle
from reports.outages.course import Floats
from reports.outages.locks import Locks

OPEN = 2.0  # the breaker's state in the app's metrics
_RATE_OVER_S = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """One metric: when it was read, and what it was, or was like over the ``over_s`` before."""

    at_s: Floats
    values: Floats
    over_s: float = 0.0

    def most(self, since_s: float) -> float | None:
        """The greatest value of what was from this moment on."""
        later = self.values[self.at_s >= since_s + self.over_s]
        return float(later.max()) if len(later) else None


@dataclass(frozen=True, slots=True)
class Vitals:
    """What telemetry saw of one trial. A list is empty, and a line None, where there was nothing to be read.

    ``breakers``: per worker. ``postgres_stock``, ``redis_stock`` (remaining and held): summed over the SKUs that
    Redis was ever seen to have, or over all if there is none, at the moments at which each of them was there.
    ``redis_away``: spans in which Redis did not answer. ``database_reads_per_s``: of products, by all workers.
    ``oldest_transaction_s``: the age of the oldest that the app had open. ``cpu_share``: of one core, by group of
    processes. ``memory_bytes``: at most, by group.
    """

    breakers: tuple[Line, ...]
    postgres_stock: Line | None
    redis_stock: Line | None
    redis_away: tuple[tuple[float, float], ...]
    statements_per_s: Line | None
    database_reads_per_s: Line | None
    oldest_transaction_s: Line | None
    locks: Locks | None
    lock_waits: Line | None
    cpu_share: dict[str, float]
    memory_bytes: dict[str, float]
    wal_bytes: float | None


def vitals(bundle: Bundle, began_ns: int) -> Vitals | None:
    """None if the trial has no telemetry."""
    frame = bundle.telemetry
    if frame is None or frame.empty:
        return None
    frame = frame.assign(at_s=(frame["at_ns"] - began_ns) / 1e9)
    statements = _line(frame, "postgres", "statements")
    wal = _line(frame, "postgres", "wal_bytes")
    in_redis, in_postgres = _of(frame, "redis", "remaining", "held"), _of(frame, "postgres", "remaining")
    if not in_redis.empty:
        in_postgres = in_postgres[in_postgres["subject"].isin(in_redis["subject"])]
    return Vitals(
        breakers=tuple(
            Line(part["at_s"].to_numpy(), part["value"].to_numpy())
            for _, part in _of(frame, "app", "breaker_state").groupby("subject", sort=True)
        ),
        postgres_stock=_summed(in_postgres),
        redis_stock=_summed(in_redis),
        redis_away=_away(_line(frame, "redis", "up")),
        statements_per_s=_rate(statements),
        database_reads_per_s=_rate(_over_workers(_of(frame, "app", "database_reads"))),
        oldest_transaction_s=_line(frame, "postgres", "oldest_transaction_s"),
        locks=Locks.of(*(_of(frame, "redis", metric) for metric in ("locks_held", "lock_held_s", "lock_left_s"))),
        lock_waits=_line(frame, "postgres", "waiting_for_a_lock"),
        cpu_share=_shares(_of(frame, "process", "cpu_s")),
        memory_bytes={
            str(name): float(part["value"].max())
            for name, part in _of(frame, "process", "memory_bytes").groupby("subject", sort=True)
        },
        wal_bytes=float(wal.values[-1] - wal.values[0]) if wal is not None and len(wal.values) > 1 else None,
    )


def _of(frame: pd.DataFrame, source: str, *metrics: str) -> pd.DataFrame:
    return frame[(frame["source"] == source) & frame["metric"].isin(metrics)]


def _line(frame: pd.DataFrame, source: str, metric: str) -> Line | None:
    part = _of(frame, source, metric)
    return None if part.empty else Line(part["at_s"].to_numpy(), part["value"].to_numpy())


def _summed(part: pd.DataFrame) -> Line | None:
    """Readings of one moment added up, where none is missing: part of a sum looks like less of everything."""
    moments = part.groupby("at_s", sort=True).agg({"value": "sum", "subject": "nunique"})
    whole = moments.loc[moments["subject"] == part["subject"].nunique(), "value"]
    return Line(whole.index.to_numpy(np.float64), whole.to_numpy()) if len(whole) else None


def _over_workers(part: pd.DataFrame) -> Line | None:
    """A total that each worker counts for itself, added up; what a worker counted stays when it is gone."""
    if part.empty:
        return None
    counted = part.pivot_table(index="at_s", columns="subject", values="value", aggfunc="last").ffill().fillna(0.0)
    return Line(counted.index.to_numpy(np.float64), counted.to_numpy(np.float64).sum(axis=1))


def _rate(total: Line | None) -> Line | None:
    """Per second, over a second at a time, since counters move in jumps. A counter that falls began anew at 0."""
    if total is None or len(total.values) < 2:
        return None
    steps = np.diff(total.values)
    grown = np.append(0.0, np.cumsum(np.where(steps < 0, total.values[1:], steps)))
    before = np.interp(total.at_s - _RATE_OVER_S, total.at_s, grown)
    span_s = np.minimum(_RATE_OVER_S, total.at_s - total.at_s[0])
    late = span_s > 0.5
    rate = (grown - before)[late] / span_s[late]
    return Line(total.at_s[late], rate, _RATE_OVER_S) if late.any() else None


def _away(up: Line | None) -> tuple[tuple[float, float], ...]:
    """Spans of readings without an answer, up to the first answer after them."""
    if up is None:
        return ()
    spans: list[tuple[float, float]] = []
    since: float | None = None
    for at_s, value in zip(up.at_s.tolist(), up.values.tolist(), strict=True):
        if value < 1 and since is None:
            since = at_s
        elif value >= 1 and since is not None:
            spans.append((since, at_s))
            since = None
    if since is not None:
        spans.append((since, float(up.at_s[-1])))
    return tuple(spans)


def _shares(part: pd.DataFrame) -> dict[str, float]:
    """CPU seconds a second, of the whole time: a worker that came in the midst of it counts for what it used."""
    span_s = float(part["at_s"].max() - part["at_s"].min()) if len(part) else 0.0
    if span_s <= 0:
        return {}
    return {
        str(name): float(group["value"].iloc[-1] - group["value"].iloc[0]) / span_s
        for name, group in part.groupby("subject", sort=True)
    }
