"""One trial's verdict. It starts as UNPROVEN and must be earned."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from flashbench.evidence.bundle import Bundle, UnreadableTrialError
from flashbench.evidence.documents import VERDICT, FindingDocument, TrialDocument, VerdictDocument
from flashbench.evidence.whole import publish_text
from flashbench.vocabulary import Expectation, Tier, Validity, Verdict
from reports.checks.finding import Finding
from reports.checks.history import History
from reports.checks.registry import Check, checks
from reports.judging.cache_lines import cache_lines
from reports.judging.doubts import doubts
from reports.judging.identities import identities
from reports.judging.validity import invalid_reasons


def judge(folder: Path) -> VerdictDocument:
    """Derive the verdict from the evidence in ``folder`` and keep it there as ``verdict.json`` if that can be written.

    UsageError if ``folder`` is no trial's; evidence that is missing, altered or unreadable makes it UNPROVEN.
    """
    try:
        verdict = judged(Bundle.load(folder))
    except UnreadableTrialError as trouble:
        verdict = _nameless(folder, str(trouble))
    _keep(verdict, folder)
    return verdict


def judged(bundle: Bundle) -> VerdictDocument:
    """The verdict on evidence that is loaded."""
    trial, history = bundle.trial, History.of(bundle)
    findings = tuple(_finding(check, history, bundle.trusted) for check in checks())
    broken = [finding.invariant for finding in findings if finding.status == "broken"]
    reasons = doubts(bundle, history)
    reasons += _undecided(trial, findings)
    verdict = Verdict.UNPROVEN
    if broken:
        verdict = Verdict.FAIL
    elif not reasons and all(finding.status == "held" for finding in findings):
        verdict = Verdict.PASS
    invalid = invalid_reasons(bundle, history)
    try:
        expectation = Expectation.parse(trial.expectation)
    except ValueError as error:
        reasons.append(str(error))
        verdict = Verdict.UNPROVEN if verdict is Verdict.PASS else verdict
        expectation = Expectation()
    return VerdictDocument(
        trial=trial.trial,
        strategy=trial.strategy,
        control=trial.control,
        fault=trial.fault,
        expectation=trial.expectation,
        verdict=verdict,
        validity=Validity.INVALID if invalid else Validity.VALID,
        tier=_tier(bundle, history),
        met=met(expectation, verdict, findings),
        findings=findings,
        reasons=tuple(reasons),
        invalid_reasons=tuple(invalid),
        identities=identities(history, bundle.telemetry),
        figures=() if invalid else cache_lines(bundle),
    )


def met(expectation: Expectation, verdict: Verdict, findings: tuple[FindingDocument, ...]) -> bool:
    """Whether a trial showed what it should: a control breaks that invariant, whatever else it breaks."""
    if expectation.breaks is None:
        return verdict is Verdict.PASS
    return any(each.invariant == expectation.breaks and each.status == "broken" for each in findings)


def _keep(verdict: VerdictDocument, folder: Path) -> None:
    """Whole or not at all; a copy on read-only media can be judged as well."""
    with suppress(OSError):
        publish_text(folder / VERDICT, verdict.to_json())


def _undecided(trial: TrialDocument, findings: tuple[FindingDocument, ...]) -> list[str]:
    """Why each of them is; in one sentence if the reason is that there was no ledger to be read."""
    undecided = [each for each in findings if each.status == "undecided"]
    if undecided and trial.ledger_source == "none" and trial.moments.collected_ns is not None:
        names = ", ".join(each.invariant for each in undecided)
        return [f"{names} are undecided: clients alone can only show that something is wrong"]
    return [f"{each.invariant} is undecided: {each.sentence}" for each in undecided]


def _finding(check: Check, history: History, trusted: bool) -> FindingDocument:
    if trusted:
        return check.document(history)
    nothing = Finding.undecided("trial.json can't be trusted, so nothing is known of the sale")
    return FindingDocument(
        invariant=check.invariant, title=check.title, status=nothing.status.value, sentence=nothing.sentence
    )


def _tier(bundle: Bundle, history: History) -> Tier:
    """C needs the stores, read by the harness, and a ``seq`` on every order; B a ledger."""
    if bundle.ledger is None or bundle.trial.ledger_source == "none":
        return Tier.CLIENT
    own = any(snapshot.source == "stores" for snapshot in history.snapshots)
    sequenced = bool(bundle.ledger["seq"].notna().all())
    return Tier.STORES if own and sequenced and bundle.trial.ledger_source == "postgres" else Tier.LEDGER


def _nameless(folder: Path, problem: str) -> VerdictDocument:
    """The verdict on a trial that does not even say what it was."""
    return VerdictDocument(
        trial=folder.resolve().name,
        strategy="unknown",
        control=False,
        expectation="pass",
        verdict=Verdict.UNPROVEN,
        validity=Validity.VALID,
        tier=Tier.CLIENT,
        met=False,
        findings=(),
        reasons=(problem,),
    )
