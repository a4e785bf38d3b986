"""The trials of one strategy and fault, held against the targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from reports.outages.answers import Answers
from reports.outages.faults import CRASHES
from reports.outages.outage import OutageFigures
from reports.outages.recovery import Normal
from reports.outages.targets import (
    AVAILABILITY,
    BURST_S,
    LEAKED,
    LEAST_CRASHES,
    LEAST_WATCHED_S,
    LOST,
    OVERSOLD,
    RECOVERY,
    RECOVERY_S,
    SEEDS,
    SLOWEST_REQUEST,
    STALE_LOCKS,
    STORES,
    TARGETS,
    UNRESOLVED,
    WRONG,
    Target,
    by_chance,
)

_UNDECIDED = "the check that would show it could not decide"


class Status(StrEnum):
    """What the trials say of a target."""

    MET = "met"
    MISSED = "missed"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One target. ``worst`` of all trials, in ``trial``; ``sentence`` says which, and by how much."""

    target: Target
    status: Status
    worst: float | None
    trial: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Measured:
    """A trial's figure; without one, ``why`` there is none. ``more``: it is more than that.

    ``unlike``: the trial did not look like loads without a fault, which may now and then not look like it either, but
    it was not watched for long enough to miss the target, or misses it by no more than a burst of arrivals explains.
    """

    value: float | None
    why: str = ""
    more: bool = False
    unlike: bool = False


def judged(
    trials: Sequence[tuple[str, OutageFigures]],
    others: Sequence[tuple[str, Answers]] = (),
    missing: int = 0,
    normal: Normal | None = None,
) -> tuple[Judgement, ...]:
    """Every target that applies to the faults that these trials, by name, met. None without a trial.

    Of the ``others`` no more is known than what the checks found, and of so many ``missing`` ones nothing: they can
    miss a target, and without a figure of theirs none is met. ``normal`` is what recovery was judged by: fewer than
    ``SEEDS`` loads without a fault are too few to miss it by.
    """
    whom = {span.hurts for _, figures in trials for span in figures.spans}
    return tuple(
        _judgement(target, trials, [*others, *[("", None)] * missing], normal)
        for target in TARGETS
        if trials and target.applies(whom) and not (target is STALE_LOCKS and _keeps_no_lock(trials))
    )


def _judgement(
    target: Target,
    trials: Sequence[tuple[str, OutageFigures]],
    others: Sequence[tuple[str, Answers | None]],
    normal: Normal | None,
) -> Judgement:
    count = len(trials) + len(others)
    late_share = normal.late_share if normal is not None else 0.0
    found = [(name, _measured(target, figures)) for name, figures in trials]
    unlike = [(name, each) for name, each in found if each.unlike]
    missing = sum(answers is None for _, answers in others)  # with them, it may yet be no more than chance
    excused = ""
    if len(unlike) < len(found) and len(unlike) <= by_chance(len(found) + missing, late_share):
        excused = _excused(target, unlike, count, late_share)
        found = [(name, each) for name, each in found if not each.unlike]
    elif normal is not None and normal.trials < SEEDS:
        found = [(name, _too_few(normal.trials) if each.unlike else each) for name, each in found]
    found += [(name, _of_answers(target, answers)) for name, answers in others]
    known = [(name, each, each.value) for name, each in found if each.value is not None]
    why = next((each.why for _, each in found if each.value is None), "")
    if not known:
        return Judgement(target, Status.NOT_SHOWN, None, "", f"{target.name}: not shown, since {why}")
    trial, measured, worst = (min if target.at_least else max)(known, key=lambda each: each[2])
    missed = sum(not target.allows(value) for _, _, value in known)
    if missed:
        sentence = _missed(target, worst, trial, measured, missed, count)
        return Judgement(target, Status.MISSED, worst, trial, sentence)
    crashes = sum(figures.crashes for _, figures in trials)
    if len(known) < len(found):
        why = f"not shown in {len(found) - len(known)} of {count} trials, since {why}{excused}"
    elif target is LOST and crashes < LEAST_CRASHES and any(_crashes(figures) for _, figures in trials):
        why = f"none in {crashes} crashes of Postgres while stock lasted; {LEAST_CRASHES} are asked for"
    else:
        return Judgement(target, Status.MET, worst, trial, _met(target, worst, crashes) + excused)
    return Judgement(target, Status.NOT_SHOWN, worst, trial, f"{target.name}: {why}")


def _missed(target: Target, worst: float, trial: str, measured: _Measured, missed: int, count: int) -> str:
    value = f"{'more than ' if measured.more else ''}{target.unit.said(worst)}"
    times = f"; missed in {missed} of {count} trials" if count > 1 else ""
    if not target.limit:
        return f"{target.name}: {value} in {trial}, where none is allowed{times}"
    how = "less" if target.at_least else "more"
    asked = f"{target.unit.said(target.limit)} {'asked for' if target.at_least else 'allowed'}"
    by = target.unit.apart(worst, target.limit)
    return f"{target.name}: {value} in {trial}, {by} {how} than the {asked}{times}"


def _met(target: Target, worst: float, crashes: int) -> str:
    if not target.limit:
        return f"{target.name}: none" + (f", in {crashes} crashes of Postgres" if target is LOST and crashes else "")
    limit = f"{target.unit.said(target.limit)} {'asked for' if target.at_least else 'allowed'}"
    return f"{target.name}: {target.unit.said(worst)} at worst, {limit}"


def _excused(target: Target, unlike: Sequence[tuple[str, _Measured]], count: int, late_share: float) -> str:
    if not unlike:
        return ""
    late = [(each.value, name) for name, each in unlike if each.value is not None and not each.more]
    worst = f" ({target.unit.said(max(late)[0])} in {max(late)[1]})" if late else ""
    return (
        f"; not seen in time in {len(unlike)} of {count} trials{worst}, which is no more than chance:"
        f" after {100 * late_share:.1f} % of the moments of loads without a fault it is not seen in time either"
    )


def _too_few(trials: int) -> _Measured:
    shown = f"{trials} trials without a fault show" if trials != 1 else "one trial without a fault shows"
    return _Measured(None, f"it was not seen in time, by what {shown}: {SEEDS} are asked for")


def _crashes(figures: OutageFigures) -> bool:
    return any(span.fault in CRASHES for span in figures.spans)


def _keeps_no_lock(trials: Sequence[tuple[str, OutageFigures]]) -> bool:
    return all(figures.keeps_locks is False for _, figures in trials)


def _in_time(figures: OutageFigures, value: float | None, why: str) -> _Measured:
    """What is only worth something if there was stock left to be sold when the faults came."""
    if not figures.in_time:
        return _Measured(None, "the stock was gone before the last fault came")
    return _Measured(value, why)


def _available(figures: OutageFigures) -> _Measured:
    share = figures.availability_failing
    if share is not None and not AVAILABILITY.allows(share):
        return _Measured(share)  # whatever the last of the faults met
    return _in_time(figures, share, "no purchase arrived meanwhile")


def _recovery(figures: OutageFigures) -> _Measured:
    watched_s = figures.unrecovered_s
    if figures.recovered_s is not None or watched_s is None:
        measured = _in_time(figures, figures.recovered_s, figures.why_not)
        late = measured.value is not None and RECOVERY_S < measured.value <= RECOVERY_S + BURST_S
        return replace(measured, unlike=late)
    if watched_s >= RECOVERY.limit:
        return _Measured(watched_s, more=True, unlike=watched_s <= RECOVERY_S + BURST_S)
    why = f"stock and load lasted for too short a time after the heal ({watched_s:.1f} s)"
    return replace(_in_time(figures, None, why), unlike=figures.in_time and watched_s >= LEAST_WATCHED_S)


def _measured(target: Target, figures: OutageFigures) -> _Measured:
    """A trial whose fault did not bite can miss a target, but not meet it."""
    measured = _FIGURES[target](figures)
    if figures.bitten or (measured.value is not None and not target.allows(measured.value)):
        return measured
    return _Measured(None, "a fault that was planned did not bite")


def _of_answers(target: Target, answers: Answers | None) -> _Measured:
    if answers is None:
        return _Measured(None, "a trial is missing")
    if target not in _ANSWERS:
        return _Measured(None, "a trial has no figures")
    return _Measured(_ANSWERS[target](answers), _UNDECIDED)


def _as_answered(target: Target, figures: OutageFigures) -> _Measured:
    return _of_answers(target, figures.answers)


_ANSWERS: dict[Target, Callable[[Answers], float | None]] = {
    OVERSOLD: lambda answers: answers.oversold,
    STORES: lambda answers: answers.stores,
    LOST: lambda answers: answers.lost,
    WRONG: lambda answers: answers.wrong,
    LEAKED: lambda answers: answers.leaked,
}
_FIGURES: dict[Target, Callable[[OutageFigures], _Measured]] = {
    AVAILABILITY: _available,
    SLOWEST_REQUEST: lambda met: _Measured(met.slowest_request_s, "no request was answered after the fault came"),
    RECOVERY: _recovery,
    **{each: partial(_as_answered, each) for each in _ANSWERS},
    UNRESOLVED: lambda met: _Measured(met.unknowns.unresolved),
    STALE_LOCKS: lambda met: _Measured(met.stale_locks, "telemetry did not look from the first fault to the end"),
}
