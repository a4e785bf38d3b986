"""If these fail, a CI server shows a green build for a wrong verdict, or a red one for a control that was caught."""

from __future__ import annotations

from typing import Any, Literal
from xml.etree import ElementTree

import pytest

from flashbench.evidence.documents import FindingDocument, SuiteVerdict, VerdictDocument
from flashbench.vocabulary import Tier, Validity, Verdict
from reports.render.junit import junit

Status = Literal["held", "broken", "undecided"]


def finding(invariant: str, status: Status) -> FindingDocument:
    return FindingDocument(invariant=invariant, title="of a kind", status=status, sentence=f"{invariant} is {status}")


def trial(name: str, verdict: Verdict, *statuses: Status, **fields: Any) -> VerdictDocument:
    given: dict[str, Any] = {"expectation": "pass", "control": False, "met": verdict is Verdict.PASS, **fields}
    return VerdictDocument(
        trial=name,
        strategy="mine",
        verdict=verdict,
        validity=given.pop("validity", Validity.VALID),
        tier=Tier.STORES,
        findings=tuple(finding(f"I{number}", status) for number, status in enumerate(statuses, start=1)),
        **given,
    )


def of(verdict: Verdict, *trials: VerdictDocument, **fields: Any) -> ElementTree.Element:
    document = SuiteVerdict(suite="quick", verdict=verdict, validity=Validity.VALID, trials=trials, **fields)
    return ElementTree.fromstring(junit(document))


def ended(root: ElementTree.Element) -> dict[str, str]:
    """By name of the case: how it ended, and with what message; successes are left out."""
    return {
        case.get("name", ""): f"{case[0].tag}: {case[0].get('message')}" for case in root.iter("testcase") if len(case)
    }


def test_every_trial_and_invariant_is_a_case_and_a_pass_has_no_failure() -> None:
    root = of(Verdict.PASS, trial("t1", Verdict.PASS, "held", "held"), trial("t2", Verdict.PASS, "held"))
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == [
        *("t1: I1 of a kind", "t1: I2 of a kind", "t1: evidence", "t1: measurement"),
        *("t2: I1 of a kind", "t2: evidence", "t2: measurement"),
        "quick: verdict",
    ]
    assert ended(root) == {}
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("8", "0", "0")


def test_a_broken_invariant_is_a_failure_and_an_undecided_one_an_error() -> None:
    root = of(Verdict.FAIL, trial("t", Verdict.FAIL, "broken", "undecided", reasons=("a worker was lost",)))
    assert ended(root) == {
        "t: I1 of a kind": "failure: I1 is broken",
        "t: I2 of a kind": "error: I2 is undecided",
        "t: evidence": "error: a worker was lost",
        "quick: verdict": "failure: FAIL",
    }
    assert (root.get("failures"), root.get("errors")) == ("2", "2")


@pytest.mark.parametrize(("status", "wanted"), [("broken", None), ("held", "failure"), ("undecided", "failure")])
def test_a_control_must_break_its_invariant_and_nothing_else_of_it_counts(status: Status, wanted: str | None) -> None:
    control = trial("c", Verdict.FAIL, status, "broken", control=True, expectation="fail:I1", reasons=("odd",))
    found = ended(of(Verdict.PASS, control))
    assert found.pop("c: I2 of a kind").startswith("skipped")
    assert [each.partition(":")[0] for each in found.values()] == ([wanted] if wanted else [])


def test_a_control_whose_invariant_was_not_even_looked_at_is_an_error() -> None:
    control = trial("c", Verdict.UNPROVEN, control=True, expectation="fail:I1")
    assert ended(of(Verdict.UNPROVEN, control))["c: I1 is broken, as expected"] == "error: I1 was not looked at"


def test_an_invalid_measurement_is_skipped_and_the_suites_reasons_are_told() -> None:
    late = trial("t", Verdict.PASS, "held", validity=Validity.INVALID, invalid_reasons=("the generator was late",))
    root = of(Verdict.UNPROVEN, late, reasons=("scenario x has no caught control",))
    assert ended(root) == {
        "t: measurement": "skipped: the generator was late",
        "quick: verdict": "error: UNPROVEN\nscenario x has no caught control",
    }


def test_whatever_a_trial_is_called_the_document_is_xml() -> None:
    root = of(Verdict.FAIL, trial('<&"\x00\x1b\ud800', Verdict.FAIL, "broken"))
    assert root[0].get("name") == '<&"\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}'
