"""Everything a report says, computed once: verdicts, figures, what it ran on. The renderers only lay it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flashbench.evidence.bundle import Bundle, UnreadableTrialError, looks_like_a_trial
from flashbench.evidence.documents import SUITE, SuiteDocument, SuiteVerdict, TrialDocument, VerdictDocument
from flashbench.vocabulary import Validity, Verdict
from reports.judging.suite import judge_suite
from reports.judging.trial import judge
from reports.latency.figures import StrategyFigures, TrialFigures, figures, pooled


@dataclass(frozen=True, slots=True)
class ReportedTrial:
    """One trial: its verdict, and its figures unless there is no evidence to take them from, or they are withheld."""

    verdict: VerdictDocument
    trial: TrialDocument | None
    figures: TrialFigures | None
    withheld: str = ""  # why there are no figures


@dataclass(frozen=True, slots=True)
class Summary:
    """A suite's report; a single trial is a suite of one."""

    title: str
    verdict: SuiteVerdict
    trials: tuple[ReportedTrial, ...]
    strategies: tuple[StrategyFigures, ...]
    fingerprint: dict[str, dict[str, Any]]
    command: str
    single: bool

    @property
    def controls_caught(self) -> int:
        return sum(control.caught > 0 for control in self.verdict.controls)

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
        trials.append(_reported(path, each))
    return Summary(
        title=verdict.suite,
        verdict=verdict,
        trials=tuple(trials),
        strategies=_compared(trials),
        fingerprint=_fingerprint(folder, trials),
        command=_command(folder),
        single=single,
    )


def _reported(folder: Path, verdict: VerdictDocument) -> ReportedTrial:
    try:
        bundle = Bundle.load(folder)
    except UnreadableTrialError as trouble:
        return ReportedTrial(verdict, None, None, str(trouble))
    if verdict.validity is Validity.INVALID:
        return ReportedTrial(verdict, bundle.trial, None, "; ".join(verdict.invalid_reasons))
    if bundle.load_tries.empty:
        return ReportedTrial(verdict, bundle.trial, None, "the load made no recorded try")
    return ReportedTrial(verdict, bundle.trial, figures(bundle))


def _compared(trials: list[ReportedTrial]) -> tuple[StrategyFigures, ...]:
    """A row a strategy and case. Controls are not compared: a strategy that is wrong may be as fast as it likes."""
    rows: dict[tuple[str, str], list[TrialFigures]] = {}
    for each in trials:
        if each.figures is not None and not each.verdict.control:
            rows.setdefault((each.figures.case, each.figures.strategy), []).append(each.figures)
    return tuple(pooled(rows[name]) for name in sorted(rows))


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
