"""The matrix: what every fault did to every strategy, a cell each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flashbench.evidence.documents import PlannedFault, PlannedTrial
from flashbench.vocabulary import Verdict
from reports.names import FileNames
from reports.outages.answers import Answers
from reports.outages.faults import Hurts, hurts, is_of_the_network, together
from reports.outages.judgement import Judgement, Status, judged
from reports.outages.outage import OutageFigures
from reports.places import places
from reports.summary import Outage, ReportedTrial, Summary

MOST_INLINE = 4  # cases whose timelines stand in the report itself; of more, each gets a page


@dataclass(frozen=True, slots=True)
class Cell:
    """All trials of one strategy that were to meet the same faults. ``page`` is the name of the cell's page.

    ``missing`` were planned and left nothing. ``outage`` is None if no trial has figures.
    """

    case: str
    strategy: str
    words: str
    trials: tuple[ReportedTrial, ...]
    missing: int
    outage: Outage | None
    judgements: tuple[Judgement, ...]
    page: str

    @property
    def count(self) -> int:
        return len(self.trials) + self.missing

    @property
    def passed(self) -> int:
        return sum(each.verdict.verdict is Verdict.PASS for each in self.trials)

    @property
    def verdict(self) -> Verdict:
        """FAIL if one trial fails, PASS if all that were planned pass."""
        if any(each.verdict.verdict is Verdict.FAIL for each in self.trials):
            return Verdict.FAIL
        return Verdict.PASS if self.passed == self.count else Verdict.UNPROVEN

    @property
    def missed(self) -> tuple[Judgement, ...]:
        return tuple(each for each in self.judgements if each.status is Status.MISSED)

    @property
    def not_shown(self) -> tuple[Judgement, ...]:
        return tuple(each for each in self.judgements if each.status is Status.NOT_SHOWN)

    @property
    def figures(self) -> tuple[OutageFigures, ...]:
        """Of each trial that has any."""
        return self.outage.figures if self.outage is not None else ()

    @property
    def availability(self) -> float | None:
        """While something failed, in the worst trial whose faults bit."""
        known = [each.availability_failing for each in self.figures if each.bitten]
        return min((each for each in known if each is not None), default=None)

    @property
    def recovered_s(self) -> float | None:
        """In the worst of the ``recovered`` trials that were seen to recover."""
        return max((each.recovered_s for each in self.figures if each.recovered_s is not None), default=None)

    @property
    def recovered(self) -> int:
        """In how many trials a recovery was seen."""
        return self.outage.recovered if self.outage is not None else 0


@dataclass(frozen=True, slots=True)
class FaultCase:
    """A row: the trials that were to meet the same faults. ``page`` is that of the timeline of all its strategies."""

    case: str
    words: str
    cells: tuple[Cell | None, ...]  # in the order of the matrix' strategies
    page: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are cases with faults, columns strategies."""

    strategies: tuple[str, ...]
    rows: tuple[FaultCase, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for row in self.rows for cell in row.cells if cell is not None)

    @property
    def is_large(self) -> bool:
        """Whether each case has a page of its own."""
        return len(self.rows) > MOST_INLINE


@dataclass(slots=True)
class _Group:
    """What is known of one cell's trials."""

    faults: tuple[PlannedFault, ...]
    trials: list[ReportedTrial]
    missing: int = 0


def matrix(summary: Summary) -> Matrix:
    """Of all trials that were planned with a fault, or met one; controls are told of elsewhere."""
    groups = _groups(summary)
    place = places(strategy for _, strategy in groups)
    strategies = tuple(sorted({strategy for _, strategy in groups}, key=place.__getitem__))
    known = {(each.case, each.strategy): each for each in summary.outages}
    names = FileNames()
    rows = []
    for case, faults in sorted(_cases(groups).items(), key=lambda item: _order(*item)):
        words = together(faults) or case
        pages = {strategy: f"{names.give(f'{case}--{strategy}')}.html" for strategy in strategies}
        cells = [
            _cell(case, strategy, words, groups.get((case, strategy)), known.get((case, strategy)), pages[strategy])
            for strategy in strategies
        ]
        rows.append(FaultCase(case, words, tuple(cells), f"{names.give(case)}.html"))
    return Matrix(strategies, tuple(rows))


def _cell(case: str, strategy: str, words: str, group: _Group | None, met: Outage | None, page: str) -> Cell | None:
    if group is None:
        return None
    trials = [(each.trial, each.outage) for each in met.trials if each.outage is not None] if met is not None else []
    measured = {name for name, _ in trials}
    verdicts = [each.verdict for each in group.trials]
    others = [(each.trial, Answers.of(each.findings)) for each in verdicts if each.trial not in measured]
    judgements = judged(trials, others, group.missing, met.normal if met is not None else None)
    return Cell(case, strategy, words, tuple(group.trials), group.missing, met, judgements, page)


def _groups(summary: Summary) -> dict[tuple[str, str], _Group]:
    """By case and strategy: what was planned, and whatever else met a fault."""
    groups: dict[tuple[str, str], _Group] = {}
    by_name = {each.verdict.trial: each for each in summary.trials}
    for planned in summary.planned:
        if planned.control or planned.fault is None:
            continue
        reported = by_name.pop(planned.trial, None)
        case = planned.case or f"{planned.scenario}-{planned.fault}"
        group = groups.setdefault((case, planned.strategy), _Group(_named(planned), []))
        if reported is None:
            group.missing += 1
        else:
            _add(group, reported)
    for reported in by_name.values():
        trial = reported.trial
        if trial is None or reported.verdict.control or not (trial.planned_faults or trial.fault):
            continue
        _add(groups.setdefault((trial.case_name, trial.strategy), _Group((), [])), reported)
    return groups


def _add(group: _Group, reported: ReportedTrial) -> None:
    group.trials.append(reported)
    if reported.trial is not None and reported.trial.planned_faults:
        group.faults = reported.trial.planned_faults


def _named(planned: PlannedTrial) -> tuple[PlannedFault, ...]:
    """All that a suite's plan says of the faults: their names."""
    names = planned.fault.split("+") if planned.fault else []
    return tuple(PlannedFault(fault=name, at_s=place, for_s=1) for place, name in enumerate(names))


def _cases(groups: Mapping[tuple[str, str], _Group]) -> dict[str, tuple[PlannedFault, ...]]:
    """The faults of each case, from whichever trial tells the most of them."""
    found: dict[str, tuple[PlannedFault, ...]] = {}
    for (case, _), group in groups.items():
        if case not in found or any(each.options for each in group.faults):
            found[case] = group.faults
    return found


def _order(case: str, faults: Sequence[PlannedFault]) -> tuple[int, bool, str]:
    """Redis first, then Postgres, the app, and what hurts several; of each, the network last."""
    whom = {hurts(each.fault, each.options) for each in faults}
    rank = list(Hurts).index(next(iter(whom))) if len(whom) == 1 else len(Hurts)
    return rank, any(is_of_the_network(each.fault) for each in faults), case
