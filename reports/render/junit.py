"""The verdict as JUnit XML: a test case per trial and invariant, expectation against finding, for CI servers.

The format is the one that Jenkins, GitLab and GitHub's test reporters read: ``failure`` for what was found broken,
``error`` for what could not be decided, ``skipped`` for what decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from flashbench.evidence.documents import FindingDocument, SuiteVerdict, VerdictDocument
from flashbench.vocabulary import Expectation, Validity, Verdict

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Case:
    """One test case; ``ended`` None is a success."""

    name: str
    ended: Literal["failure", "error", "skipped"] | None = None
    message: str = ""


def junit(verdict: SuiteVerdict) -> str:
    """The document, with a ``testsuite`` for every trial and a last one for the suite as a whole."""
    root = ElementTree.Element("testsuites", name=_text(verdict.suite))
    for trial in verdict.trials:
        _add(root, trial.trial, f"{verdict.suite}.{trial.strategy}", list(_cases(trial)))
    _add(root, verdict.suite, verdict.suite, [_verdict_case(verdict)])
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _cases(trial: VerdictDocument) -> Iterator[_Case]:
    try:
        breaks = Expectation.parse(trial.expectation).breaks
    except ValueError as error:
        breaks = None
        yield _Case("expectation", "error", str(error))
    for finding in trial.findings:
        yield _case(finding, breaks)
    if breaks is not None and not any(finding.invariant == breaks for finding in trial.findings):
        yield _Case(f"{breaks} is broken, as expected", "error", f"{breaks} was not looked at")
    reasons = [reason for reason in trial.reasons if " is undecided: " not in reason]
    if breaks is None:
        yield _Case("evidence", "error" if reasons else None, "; ".join(reasons))
    invalid = trial.validity is Validity.INVALID
    yield _Case("measurement", "skipped" if invalid else None, "; ".join(trial.invalid_reasons))


def _case(finding: FindingDocument, breaks: str | None) -> _Case:
    """A control has to break its invariant; what else it breaks is its own affair."""
    name = f"{finding.invariant} {finding.title}"
    if breaks is not None:
        if finding.invariant != breaks:
            return _Case(name, "skipped", f"of a control that has to break {breaks}: {finding.status}")
        caught = finding.status == "broken"
        return _Case(f"{name}: broken, as expected", None if caught else "failure", finding.sentence)
    ended: dict[str, Literal["failure", "error"]] = {"broken": "failure", "undecided": "error"}
    return _Case(name, ended.get(finding.status), finding.sentence)


def _verdict_case(verdict: SuiteVerdict) -> _Case:
    ended: dict[Verdict, Literal["failure", "error"]] = {Verdict.FAIL: "failure", Verdict.UNPROVEN: "error"}
    return _Case("verdict", ended.get(verdict.verdict), "\n".join((verdict.verdict.value, *verdict.reasons)))


def _add(root: ElementTree.Element, name: str, classname: str, cases: list[_Case]) -> None:
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_text(name),
        tests=str(len(cases)),
        failures=str(sum(case.ended == "failure" for case in cases)),
        errors=str(sum(case.ended == "error" for case in cases)),
        skipped=str(sum(case.ended == "skipped" for case in cases)),
    )
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=_text(classname), name=_text(f"{name}: {case.name}")
        )
        if case.ended is not None:
            ElementTree.SubElement(element, case.ended, message=_text(case.message))


def _text(words: str) -> str:
    """Without the characters that XML can't hold at all."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words)
