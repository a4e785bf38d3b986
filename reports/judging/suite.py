"""A suite's verdict: every trial judged again, against what the suite had planned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pydantic import ValidationError
from scipy.stats import beta

from flashbench.errors import UsageError
from flashbench.evidence.bundle import looks_like_a_trial
from flashbench.evidence.documents import (
    SUITE,
    CaughtControl,
    PlannedTrial,
    SuiteDocument,
    SuiteVerdict,
    VerdictDocument,
)
from flashbench.vocabulary import Expectation, Validity, Verdict
from reports.judging.trial import judge, met

LEAST_CAUGHT = 0.95  # of a control's trials, once there are
MANY_TRIALS = 20
MOST_NAMED = 5  # missing trials


def judge_suite(folder: Path) -> SuiteVerdict:
    """Judge every trial of the suite in ``folder``. UsageError if there is neither a suite nor a trial below it."""
    trials = sorted(path for path in folder.iterdir() if looks_like_a_trial(path)) if folder.is_dir() else []
    if not trials and not (folder / SUITE).is_file():
        raise UsageError(f"{folder} is not a suite's folder: it holds neither {SUITE} nor trials.")
    verdicts = {path.name: judge(path) for path in trials}
    try:
        suite = SuiteDocument.from_json((folder / SUITE).read_bytes())
    except FileNotFoundError:
        return _unplanned(folder, verdicts, f"{SUITE} is missing: what the suite had planned is not known")
    except (OSError, ValidationError):
        return _unplanned(folder, verdicts, f"{SUITE} can't be read: what the suite had planned is not known")
    return suite_verdict(suite, verdicts)


def suite_verdict(suite: SuiteDocument, found: dict[str, VerdictDocument]) -> SuiteVerdict:
    """What trials, by their folders' names, say about a suite. A trial is judged by the suite's expectation of it."""
    planned = {trial.trial: trial for trial in suite.trials}
    verdicts = {name: _expected(found[name], planned[name]) for name in planned if name in found}
    failures = [_failure(verdict) for verdict in verdicts.values() if _fails(verdict)]
    doubts = ["the run was interrupted"] if suite.interrupted else []
    doubts += suite.problems
    doubts += _missing([name for name in planned if name not in found], len(planned))
    doubts += [f"{name} is not a trial of this suite" for name in found if name not in planned]
    doubts += [doubt for name, verdict in verdicts.items() for doubt in _mismatches(planned[name], verdict)]
    controls = _controls(suite, verdicts)
    surely_caught = {(each.scenario, each.control) for each in controls if each.trials >= MANY_TRIALS and _often(each)}
    doubts += [
        _doubt(verdict)
        for name, verdict in verdicts.items()
        if verdict.verdict is Verdict.UNPROVEN and _group(planned[name]) not in surely_caught
    ]
    doubts += _uncaught(suite, controls)
    if not planned:
        doubts.append("the suite planned no trial")
    invalid = [f"{verdict.trial}: {reason}" for verdict in verdicts.values() for reason in verdict.invalid_reasons]
    verdict = Verdict.FAIL if failures else Verdict.UNPROVEN if doubts else Verdict.PASS
    return SuiteVerdict(
        suite=suite.suite,
        verdict=verdict,
        validity=Validity.INVALID if invalid else Validity.VALID,
        trials=tuple(verdicts.values()),
        controls=controls,
        reasons=(*failures, *doubts),
        invalid_reasons=tuple(invalid),
    )


def _unplanned(folder: Path, verdicts: dict[str, VerdictDocument], problem: str) -> SuiteVerdict:
    """Without its plan a suite proves nothing, but a trial that FAILs against its own expectation still does."""
    failures = [_failure(verdict) for verdict in verdicts.values() if _fails(verdict)]
    invalid = [f"{name}: {reason}" for name, verdict in verdicts.items() for reason in verdict.invalid_reasons]
    return SuiteVerdict(
        suite=folder.resolve().name,
        verdict=Verdict.FAIL if failures else Verdict.UNPROVEN,
        validity=Validity.INVALID if invalid else Validity.VALID,
        trials=tuple(verdicts.values()),
        reasons=(*failures, problem),
        invalid_reasons=tuple(invalid),
    )


def _expected(verdict: VerdictDocument, planned: PlannedTrial) -> VerdictDocument:
    """The verdict measured by what the suite expects, whatever the trial says of itself."""
    shown = met(Expectation.parse(planned.expectation), verdict.verdict, verdict.findings)
    return verdict.model_copy(update={"expectation": planned.expectation, "control": planned.control, "met": shown})


def _fails(verdict: VerdictDocument) -> bool:
    return verdict.verdict is Verdict.FAIL and Expectation.parse(verdict.expectation).breaks is None


def _missing(names: Sequence[str], count: int) -> list[str]:
    """A sentence for each, or one for all where there are many, as of a suite that was cut short."""
    if len(names) <= MOST_NAMED:
        return [f"trial {name} was planned and is missing" for name in names]
    return [f"{len(names)} of {count} trials that were planned are missing, the first of them {names[0]}"]


def _failure(verdict: VerdictDocument) -> str:
    broken = "; ".join(f"{each.invariant} {each.sentence}" for each in verdict.findings if each.status == "broken")
    return f"{verdict.trial} ({verdict.strategy}) was expected to pass and FAILs: {broken}"


def _doubt(verdict: VerdictDocument) -> str:
    more = f" (and {len(verdict.reasons) - 1} more reasons)" if len(verdict.reasons) > 1 else ""
    why = verdict.reasons[0] if verdict.reasons else "no reason given"
    return f"{verdict.trial} ({verdict.strategy}) is UNPROVEN: {why}{more}"


def _mismatches(planned: PlannedTrial, verdict: VerdictDocument) -> list[str]:
    """A folder that holds another trial than the one that was planned under its name."""
    found = []
    if verdict.trial != planned.trial:
        found.append(f"the folder {planned.trial} holds the trial {verdict.trial}")
    if verdict.fault != planned.fault and verdict.strategy != "unknown":
        found.append(f"{planned.trial} was planned with the fault {planned.fault} and met {verdict.fault}")
    if verdict.strategy not in (planned.strategy, "unknown"):
        found.append(f"{planned.trial} was planned with {planned.strategy} and was run with {verdict.strategy}")
    return found


def _controls(suite: SuiteDocument, verdicts: dict[str, VerdictDocument]) -> tuple[CaughtControl, ...]:
    groups: dict[tuple[str, str, str], list[VerdictDocument | None]] = {}
    for planned in suite.trials:
        breaks = Expectation.parse(planned.expectation).breaks
        if breaks is not None:
            group = groups.setdefault((*_group(planned), breaks), [])
            group.append(verdicts.get(planned.trial))
    return tuple(_caught(*name, found) for name, found in groups.items())


def _caught(scenario: str, control: str, breaks: str, found: list[VerdictDocument | None]) -> CaughtControl:
    verdicts = [verdict for verdict in found if verdict is not None and verdict.met]
    stories = [
        finding.story.purchases
        for verdict in verdicts
        for finding in verdict.findings
        if finding.invariant == breaks and finding.story is not None
    ]
    broken = {
        finding.invariant for verdict in verdicts for finding in verdict.findings if finding.status == "broken"
    } - {breaks}
    return CaughtControl(
        scenario=scenario,
        control=control,
        breaks=breaks,
        caught=len(verdicts),
        trials=len(found),
        at_least=round(at_least(len(verdicts), len(found)), 3),
        also=tuple(sorted(broken, key=lambda invariant: int(invariant[1:]))),
        purchases=int(median(stories)) if stories else None,
    )


def _group(planned: PlannedTrial) -> tuple[str, str]:
    """Trials of one control under one load are counted together."""
    return planned.case or planned.scenario, planned.strategy


def _often(control: CaughtControl) -> bool:
    return control.caught >= LEAST_CAUGHT * control.trials


def at_least(caught: int, trials: int) -> float:
    """The share of all such trials that would be caught, at least, with 95 % confidence (Clopper and Pearson, 1934).

    >>> round(at_least(20, 20), 3), at_least(0, 20)
    (0.861, 0.0)
    """
    return float(beta.ppf(0.05, caught, trials - caught + 1)) if caught else 0.0


def _uncaught(suite: SuiteDocument, controls: tuple[CaughtControl, ...]) -> list[str]:
    """Without a control that was caught, a scenario's PASS does not show that it could have failed."""
    found = [
        f"the control {each.control} was not caught breaking {each.breaks} in scenario {each.scenario}"
        if not each.caught
        else f"the control {each.control} was caught in only {each.caught} of {each.trials} trials of {each.scenario}"
        for each in controls
        if not each.caught or (each.trials >= MANY_TRIALS and not _often(each))
    ]
    cases = {each.scenario for each in controls if each.caught}
    caught = {trial.scenario for trial in suite.trials if (trial.case or trial.scenario) in cases}
    scenarios = dict.fromkeys(trial.scenario for trial in suite.trials)
    return found + [f"scenario {scenario} has no caught control" for scenario in scenarios if scenario not in caught]
