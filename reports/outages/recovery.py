"""When is a strategy as good as before? Judged by fault-free trials of the same strategy and load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.outages.course import STEP_S, WINDOW_S, Bools, Course, Floats
from reports.outages.spans import Span
from reports.outages.targets import RECOVERY_S

WINDOWS_IN_A_ROW = 3
LEAST_GOODPUT_SHARE = 0.8
MOST_P95_RATIO = 1.5
ROOM_MS = 10.0  # of p95, which a busy machine takes without anything being wrong; more where half as much again is more
_SETTLED_S = 1.0  # the first second of a load is a warm-up
_STRIDE = round(WINDOW_S / STEP_S)
SHOWN_AFTER_S = WINDOWS_IN_A_ROW * WINDOW_S  # how long it takes to see that a moment was one of recovery


@dataclass(frozen=True, slots=True)
class Normal:
    """What three windows in a row of a fault-free load are like: each of at least this goodput, at most this p95.

    Of all moments of those loads, at least 19 in 20 count as recovered; after ``late_share`` of them ``RECOVERY_S``
    go by without one that does.
    """

    least_goodput: float
    most_p95_ms: float
    trials: int
    late_share: float = 0.0

    @classmethod
    def of(cls, courses: Sequence[Course]) -> Normal | None:
        """None without a fault-free load that lasted for a few windows.

        The limits are 80 % of the median goodput, and 1.5 times the median p95 or ``ROOM_MS`` more than it. Where
        fault-free loads go beyond them more often, it is what they themselves keep to 39 times in 40: three windows in
        a row have three chances to be unlucky in either way.
        """
        usable = [each for each in courses if len(_runs(each))]
        if not usable:
            return None
        found = cls(*_limits(usable), trials=len(usable))
        late = np.concatenate([_late(found, each) for each in usable])
        return replace(found, late_share=float(late.mean()) if len(late) else 0.0)


def recovery_s(
    normal: Normal, course: Course, healed_s: float, until_s: float = np.inf, beside: Course | None = None
) -> float | None:
    """Seconds from the heal to the first of three windows in a row that are normal; None if there are none.

    Windows start every tenth of a second from the heal, and must lie within the time that stock lasted, and before
    ``until_s``. ``beside``: the fault-free load of the same seed. Its shoppers arrive at the same moments, so where a
    crowd of them made it slow, or a lull idle, nothing better is asked of a strategy that has recovered.
    """
    good = _good(normal, course, beside)
    for start in range(max(0, int(np.ceil((healed_s - 1e-9) / STEP_S))), len(good)):
        if course.windows_s[start] + SHOWN_AFTER_S > until_s + 1e-9:
            return None
        if good[start]:
            return max(0.0, float(course.windows_s[start]) - healed_s)
    return None


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came after a heal that left no fault on. ``took_s`` is None if no recovery was seen.

    ``watched_s``: a recovery that took longer could not have been seen, since then the next fault came, or the stock
    or the load was at its end.
    """

    healed_s: float
    took_s: float | None
    watched_s: float
    last: bool


def recoveries(
    normal: Normal, course: Course, met: Sequence[Span], beside: Course | None = None
) -> tuple[Recovery, ...]:
    """One for every heal after which no fault was on, in order; the last is that of the last heal."""
    found = []
    last_s = max(span.to_s for span in met)
    for healed_s in sorted({span.to_s for span in met}):
        if any(span.from_s <= healed_s < span.to_s for span in met):
            continue
        until_s = min((span.from_s for span in met if span.from_s > healed_s), default=np.inf)
        watched_s = min(until_s, course.lasts_s) - SHOWN_AFTER_S - healed_s
        took_s = recovery_s(normal, course, healed_s, until_s, beside)
        found.append(Recovery(healed_s, took_s, max(0.0, float(watched_s)), last=healed_s == last_s))
    return tuple(found)


def _late(normal: Normal, course: Course) -> Bools:
    """Of each moment of a fault-free load that is followed by time enough to tell, whether no recovery is seen."""
    shown = course.windows_s + SHOWN_AFTER_S <= course.lasts_s + 1e-9
    good = _good(normal, course, None)
    good = good[shown[: len(good)]][round(_SETTLED_S / STEP_S) :]
    reach = round(RECOVERY_S / STEP_S) + 1
    if len(good) < reach:
        return np.empty(0, np.bool_)
    return np.asarray(~np.lib.stride_tricks.sliding_window_view(good, reach).any(axis=1), np.bool_)


def _limits(courses: Sequence[Course]) -> tuple[float, float]:
    """The least goodput and the most p95."""
    runs = np.concatenate([_runs(each) for each in courses])
    goodput = np.concatenate([each.window_goodput[_inside(each)] for each in courses])
    p95_ms = np.concatenate([each.window_p95_ms[_inside(each)] for each in courses])
    return (
        min(LEAST_GOODPUT_SHARE * float(np.median(goodput)), float(np.quantile(runs[:, 0], 0.025))),
        max(float(_most_p95_ms(np.nanmedian(p95_ms))), float(np.nanquantile(runs[:, 1], 0.975))),
    )


def _most_p95_ms(usual_ms: Floats | np.float64) -> Floats:
    return np.maximum(MOST_P95_RATIO * usual_ms, usual_ms + ROOM_MS)


def _runs(course: Course) -> Floats:
    """The worst goodput and p95 of every three windows in a row of a load; shape (n, 2), empty if it was too short."""
    inside = _inside(course)
    length = int(inside.sum()) - (WINDOWS_IN_A_ROW - 1) * _STRIDE
    if length <= 0 or np.isnan(course.window_p95_ms[inside]).all():
        return np.empty((0, 2))
    goodput, p95_ms = course.window_goodput[inside], course.window_p95_ms[inside]
    rows = [slice(number * _STRIDE, number * _STRIDE + length) for number in range(WINDOWS_IN_A_ROW)]
    return np.stack(
        [np.min([goodput[row] for row in rows], axis=0), np.max([p95_ms[row] for row in rows], axis=0)], axis=1
    )


def _good(normal: Normal, course: Course, beside: Course | None) -> Bools:
    """At which windows three good ones in a row begin."""
    least = np.full(len(course.windows_s), normal.least_goodput)
    most = np.full(len(course.windows_s), normal.most_p95_ms)
    if beside is not None:
        both = slice(min(len(course.windows_s), int(_within(beside).sum())))
        least[both] = np.minimum(least[both], LEAST_GOODPUT_SHARE * beside.window_goodput[both])
        most[both] = np.fmax(most[both], _most_p95_ms(beside.window_p95_ms[both]))
    good = _within(course) & (course.window_goodput >= least) & (course.window_p95_ms <= most)
    length = max(0, len(good) - (WINDOWS_IN_A_ROW - 1) * _STRIDE)
    rows = [good[number * _STRIDE : number * _STRIDE + length] for number in range(WINDOWS_IN_A_ROW)]
    return np.asarray(np.logical_and.reduce(rows), np.bool_)


def _within(course: Course) -> Bools:
    """Windows that end before the stock does, which are the first."""
    return np.asarray(course.windows_s + WINDOW_S <= course.lasts_s + 1e-9, np.bool_)


def _inside(course: Course) -> Bools:
    return _within(course) & (course.windows_s >= _SETTLED_S)
