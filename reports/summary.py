"""Everything a report says, computed once: verdicts, figures, what it ran on. The renderers only lay it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flashbench.evidence.bundle import Bundle, UnreadableTrialError, looks_like_a_trial
from flashbench.evidence.documents import (
    SUITE,
    PlannedTrial,
    SuiteDocument,
    SuiteVerdict,
    TrialDocument,
    VerdictDocument,
)
from flashbench.vocabulary import Validity, Verdict
from reports.judging.suite import judge_suite
from reports.judging.trial import judge
from reports.latency.figures import StrategyFigures, TrialFigures, figures, pooled
from reports.latency.statistics import Estimate
from reports.outages.answers import Answers
from reports.outages.outage import OutageFigures, outage
from reports.outages.recovery import Normal
from reports.places import places
from reports.wiring import Way

FALLBACK = "row_lock"  # every reference strategy sells like this while Redis is away
CROWD = 10  # purchases in flight: below nine tenths of what one line of buyers can be sold, fewer are, on average


@dataclass(frozen=True, slots=True)
class ReportedTrial:
    """One trial: its verdict, and its figures unless there is no evidence to take them from, or they are withheld."""

    verdict: VerdictDocument
    trial: TrialDocument | None
    figures: TrialFigures | None
    withheld: str = ""  # why there are no figures


@dataclass(frozen=True, slots=True)
class Outage:
    """All trials of one strategy that met the same faults under the same load, and how far they may be believed.

    ``fallback_per_s``: sales per second of the plain row lock, at its fastest in this suite over the same way to the
    stores; None if that was not measured.
    """

    strategy: str
    case: str
    faults: tuple[str, ...]
    trials: tuple[TrialFigures, ...]
    normal: Normal | None
    fallback_per_s: float | None

    def estimate(self, figure: Callable[[OutageFigures], float | None]) -> Estimate | None:
        """One figure over the trials."""
        return Estimate.of([figure(each) for each in self.figures])

    @property
    def figures(self) -> tuple[OutageFigures, ...]:
        """Of each trial that has any."""
        return tuple(each.outage for each in self.trials if each.outage is not None)

    @property
    def recovered(self) -> int:
        """In how many of them a recovery was seen."""
        return sum(each.recovered_s is not None for each in self.figures)


@dataclass(frozen=True, slots=True)
class Summary:
    """A suite's report; a single trial is a suite of one."""

    title: str
    verdict: SuiteVerdict
    trials: tuple[ReportedTrial, ...]
    strategies: tuple[StrategyFigures, ...]  # without faults
    outages: tuple[Outage, ...]
    planned: tuple[PlannedTrial, ...]  # empty without a suite's plan
    cards: dict[str, dict[str, str]]
    fingerprint: dict[str, dict[str, Any]]
    command: str
    single: bool

    @property
    def controls_caught(self) -> int:
        return sum(control.caught > 0 for control in self.verdict.controls)

    @property
    def own(self) -> tuple[TrialFigures, ...]:
        """Figures of the trials that are not a control's."""
        return tuple(_own(self.trials))

    @property
    def strategy_names(self) -> tuple[str, ...]:
        """Every strategy that has figures, or was to have some, controls apart."""
        compared, met = [row.strategy for row in self.strategies], [row.strategy for row in self.outages]
        planned = [each.strategy for each in self.planned if not each.control]
        tried = [each.verdict.strategy for each in self.trials if not each.verdict.control]
        return tuple(dict.fromkeys([*compared, *met, *planned, *tried]))

    @property
    def measures_latency(self) -> bool:
        """Whether any trial of a strategy is, or was to be, without faults, and for itself."""
        if self.fingerprint.get("work", {}).get("at_once", 1) != 1:
            return False
        return bool(self.strategies) or any(not each.control and each.fault is None for each in self.planned)

    @property
    def cases(self) -> tuple[str, ...]:
        """Those without faults."""
        return tuple(dict.fromkeys(row.case for row in self.strategies))

    @property
    def outage_cases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.case for each in self.outages))

    def compared_rows(self, case: str) -> tuple[StrategyFigures, ...]:
        """The strategies of a case without faults."""
        return tuple(row for row in self.strategies if row.case == case)

    def outage_rows(self, case: str) -> tuple[Outage, ...]:
        """The strategies that met a case's faults."""
        return tuple(each for each in self.outages if each.case == case)

    def trials_compared(self, case: str) -> dict[str, tuple[TrialFigures, ...]]:
        """The trials of a case without faults, by strategy, controls apart."""
        found: dict[str, tuple[TrialFigures, ...]] = {}
        for each in _own(self.trials):
            if each.case == case:
                found[each.strategy] = (*found.get(each.strategy, ()), each)
        place = places(found)
        return dict(sorted(found.items(), key=lambda item: place[item[0]]))

    def trials_of(self, strategy: str, case: str) -> tuple[ReportedTrial, ...]:
        """The trials of one row of the comparison, those without figures included."""
        return tuple(
            each
            for each in self.trials
            if each.trial is not None and (each.trial.strategy, each.trial.case_name) == (strategy, case)
        )


def summarize(folder: Path, progress: Callable[[str], None] = lambda _: None) -> Summary:
    """Judge a trial's or a suite's folder and compute its figures, one trial in memory at a time."""
    single = looks_like_a_trial(folder) and not (folder / SUITE).is_file()
    if single:
        trial_verdict = judge(folder)
        verdict = _suite_of_one(trial_verdict)
        folders = [folder]
    else:
        progress("judging the trials")
        verdict = judge_suite(folder)
        folders = [folder / trial.trial for trial in verdict.trials]
    trials = []
    for number, (path, each) in enumerate(zip(folders, verdict.trials, strict=True), start=1):
        progress(f"figures of trial {number} of {len(folders)}")
        trials.append(_reported(path, each, single=single))
    return Summary(
        title=verdict.suite,
        verdict=verdict,
        trials=tuple(trials),
        strategies=_compared(trials),
        outages=_outages(trials),
        planned=_planned(folder),
        cards=_cards(folder),
        fingerprint=_fingerprint(folder, trials),
        command=_command(folder),
        single=single,
    )


def _reported(folder: Path, verdict: VerdictDocument, *, single: bool) -> ReportedTrial:
    """With its figures, unless they would mislead: in a suite, those of a trial cut short would stand beside others."""
    try:
        bundle = Bundle.load(folder)
    except UnreadableTrialError as trouble:
        return ReportedTrial(verdict, None, None, str(trouble))
    if verdict.validity is Validity.INVALID:
        return ReportedTrial(verdict, bundle.trial, None, "; ".join(verdict.invalid_reasons))
    if not bundle.trial.alone:
        return ReportedTrial(verdict, bundle.trial, None, "other trials ran at the same time")
    if not single and (bundle.trial.interrupted or bundle.trial.moments.load_ended_ns is None):
        return ReportedTrial(verdict, bundle.trial, None, "it was cut short")
    if not bundle.trial.one_clock:
        return ReportedTrial(verdict, bundle.trial, None, "its load was on several machines, each with its own clock")
    if not single and not bundle.tries_whole:
        return ReportedTrial(verdict, bundle.trial, None, "part of what its load recorded is missing")
    if bundle.load_tries.empty:
        return ReportedTrial(verdict, bundle.trial, None, "the load made no recorded try")
    return ReportedTrial(verdict, bundle.trial, figures(bundle))


def _compared(trials: list[ReportedTrial]) -> tuple[StrategyFigures, ...]:
    """A row a strategy and case. Controls are not compared: a strategy that is wrong may be as fast as it likes."""
    rows: dict[tuple[str, str], list[TrialFigures]] = {}
    for each in _own(trials):
        if each.quiet:
            rows.setdefault((each.case, each.strategy), []).append(each)
    return tuple(pooled(rows[name]) for name in _in_order(rows))


def _outages(trials: list[ReportedTrial]) -> tuple[Outage, ...]:
    """A row a strategy and case with faults, each measured by the fault-free trials of its strategy, load and wiring.

    A trial in which no fault came to be injected has a verdict, and no figures.
    """
    quiet: dict[object, list[TrialFigures]] = {}
    rows: dict[tuple[str, str], list[tuple[TrialFigures, VerdictDocument]]] = {}
    for reported in trials:
        each = reported.figures
        if each is None or reported.verdict.control:
            continue
        if each.spans:
            rows.setdefault((each.case, each.strategy), []).append((each, reported.verdict))
        elif each.quiet and not each.unplanned:
            quiet.setdefault(each.like, []).append(each)
    found = []
    fallback = _fallback_per_s(trials)
    for case, strategy in _in_order(rows):
        group = rows[case, strategy]
        calm = quiet.get(group[0][0].like, [])
        normal = Normal.of([each.course for each in calm])
        measured = tuple(_measured(each, verdict, normal, calm) for each, verdict in group)
        faults = tuple(span.fault for span in measured[0].spans)
        found.append(Outage(strategy, case, faults, measured, normal, fallback.get(group[0][0].wiring.way)))
    return tuple(found)


def _measured(
    each: TrialFigures, verdict: VerdictDocument, normal: Normal | None, calm: Sequence[TrialFigures]
) -> TrialFigures:
    beside = next((other.course for other in calm if other.seed == each.seed), None)
    answers = Answers.of(verdict.findings)
    met = outage(
        each.spans, each.course, each.vitals, normal, each.unknowns, answers, beside, planned=len(each.planned)
    )
    return replace(each, outage=met)


def _in_order(rows: Mapping[tuple[str, str], object]) -> list[tuple[str, str]]:
    """Pairs of case and strategy, the strategies in the order in which they are listed everywhere."""
    place = places(strategy for _, strategy in rows)
    return sorted(rows, key=lambda row: (row[0], place[row[1]]))


def _own(trials: Sequence[ReportedTrial]) -> Iterator[TrialFigures]:
    """Figures of the trials that are not a control's."""
    return (each.figures for each in trials if each.figures is not None and not each.verdict.control)


def _fallback_per_s(trials: list[ReportedTrial]) -> dict[Way, float]:
    """What the path without Redis can sell, by the way to the stores: the most of ``row_lock`` without a fault.

    Only where the load sold everything and a crowd was waiting: any other load says how much was asked for.
    """
    rates: dict[tuple[Way, str], list[float]] = {}
    for each in _own(trials):
        if each.strategy == FALLBACK and each.quiet and each.sales_per_s and (each.waiting or 0) >= CROWD:
            rates.setdefault((each.wiring.way, each.case), []).append(each.sales_per_s)
    fastest: dict[Way, float] = {}
    for (way, _), case in rates.items():
        fastest[way] = max(fastest.get(way, 0.0), sum(case) / len(case))
    return fastest


def _planned(folder: Path) -> tuple[PlannedTrial, ...]:
    document = _suite_document(folder)
    return document.trials if document is not None else ()


def _cards(folder: Path) -> dict[str, dict[str, str]]:
    document = _suite_document(folder)
    return document.cards if document is not None else {}


def _suite_of_one(verdict: VerdictDocument) -> SuiteVerdict:
    return SuiteVerdict(
        suite=verdict.trial,
        verdict=verdict.verdict,
        validity=verdict.validity,
        trials=(verdict,),
        reasons=verdict.reasons,
        invalid_reasons=verdict.invalid_reasons,
    )


def _suite_document(folder: Path) -> SuiteDocument | None:
    try:
        return SuiteDocument.from_json((folder / SUITE).read_bytes())
    except (OSError, ValidationError):
        return None


def _fingerprint(folder: Path, trials: list[ReportedTrial]) -> dict[str, dict[str, Any]]:
    document = _suite_document(folder)
    if document is not None:
        return document.fingerprint
    return next((each.trial.fingerprint for each in trials if each.trial is not None), {})


def _command(folder: Path) -> str:
    document = _suite_document(folder)
    return " ".join(document.command) if document is not None else ""


def headline(summary: Summary) -> str:
    """The verdict in one sentence with its numbers."""
    own = [each for each in summary.trials if not each.verdict.control]
    passed = sum(each.verdict.verdict is Verdict.PASS for each in own)
    counts = [_counts(each.verdict) for each in own]
    sold, initial = sum(sold for sold, _ in counts), sum(initial for _, initial in counts)
    proven = f"{passed} of {len(own)} trials passed: {sold:,} units in the ledgers, of {initial:,} there were"
    controls = summary.verdict.controls
    if not controls:
        return f"{proven}. No broken strategy ran beside them, so nothing shows that one would have been caught."
    return f"{proven}. {summary.controls_caught} of {len(controls)} broken strategies were caught by the same checks."


def _counts(verdict: VerdictDocument) -> tuple[int, int]:
    for finding in verdict.findings:
        if finding.invariant == "I1":
            return int(finding.numbers.get("in_ledger") or 0), int(finding.numbers.get("initial") or 0)
    return 0, 0
