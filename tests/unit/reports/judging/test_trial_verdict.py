"""A verdict starts as UNPROVEN: each reason to doubt bars a PASS, and says itself in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.documents import (
    MANIFEST,
    VERDICT,
    FaultEvent,
    ManifestDocument,
    PlannedFault,
    Quiescence,
    VerdictDocument,
    WorkerClosing,
)
from flashbench.evidence.manifest import entry_of, evidence_files
from flashbench.evidence.sealing import seal
from flashbench.vocabulary import ExitCode, Outcome, Tier, Validity, Verdict
from reports import Judge
from reports.judging import judge
from tests.bundles import DRAIN_FIRST_USER, MS, OPENED_NS, BundleBuilder

IN_LOAD_NS = OPENED_NS + MS


def honest(folder: Path, **fields: Any) -> BundleBuilder:
    return BundleBuilder.honest(folder / "trial", **fields)


def only_reason(verdict: VerdictDocument) -> str:
    """The one reason, apart from invariants that could not be decided because of it."""
    assert verdict.verdict is Verdict.UNPROVEN
    reasons = [reason for reason in verdict.reasons if " is undecided: " not in reason]
    assert len(reasons) == 1, reasons
    return reasons[0]


def rewrite_manifest(folder: Path) -> None:
    entries = tuple(entry_of(path) for path in evidence_files(folder))
    (folder / MANIFEST).write_text(ManifestDocument(files=entries).to_json())


def test_an_honest_trial_passes_and_keeps_its_verdict(tmp_path: Path) -> None:
    folder = honest(tmp_path, unknowns=2).build()
    verdict = judge(folder)
    assert (verdict.verdict, verdict.validity, verdict.tier) == (Verdict.PASS, Validity.VALID, Tier.STORES)
    assert (verdict.met, verdict.reasons, verdict.exit_code) == (True, (), ExitCode.PASS)
    assert VerdictDocument.from_json((folder / VERDICT).read_bytes()) == verdict
    assert judge(folder) == verdict  # its own verdict is no evidence


def test_unknowns_are_resolved_by_the_ledger_with_numbers(tmp_path: Path) -> None:
    verdict = judge(honest(tmp_path, unknowns=3).build())
    assert "3 unknown, looked up by key in the ledger: 2 committed, 1 not committed, 0 doubled" in verdict.identities
    assert "sku-1: 3 acknowledged <= 5 in the ledger <= 3 + 3 unknown" in verdict.identities
    assert "sku-1: 5 initial = 5 sold + 0 remaining in Postgres" in verdict.identities


def test_a_read_only_copy_can_be_judged(tmp_path: Path) -> None:
    folder = honest(tmp_path).build()
    (folder / VERDICT).mkdir()  # nothing can be written there, root or not
    assert judge(folder).verdict is Verdict.PASS


# --- one doubt each ---------------------------------------------------------------------------------------------------


def test_a_problem_of_the_trial_bars_a_pass(tmp_path: Path) -> None:
    assert only_reason(judge(honest(tmp_path, problems=("a buyer crashed",)).build())) == "a buyer crashed"


def test_an_interrupted_trial_may_pass(tmp_path: Path) -> None:
    """Ctrl-C ends the load, not the proof: the drain exhausts the stock."""
    assert judge(honest(tmp_path, stock=8, attempts=4, interrupted=True).build()).verdict is Verdict.PASS


def test_a_lost_worker_bars_a_pass(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sale.without_closing.add("1")
    assert only_reason(judge(sale.build())).startswith("worker 1 was lost")


def test_a_worker_that_was_expected_and_left_nothing_bars_a_pass(tmp_path: Path) -> None:
    verdict = judge(honest(tmp_path, workers=("0", "1", "2")).build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert verdict.reasons[0].startswith("worker 2 was lost")


def test_every_missing_file_is_a_reason_that_names_it(tmp_path: Path) -> None:
    folder = honest(tmp_path).build()
    for path in (*evidence_files(folder), folder / MANIFEST):
        copy = shutil.copytree(folder, tmp_path / "copy")
        (copy / path.name).unlink()
        verdict = judge(copy)
        assert verdict.verdict is Verdict.UNPROVEN, path.name
        assert any(path.name in reason for reason in verdict.reasons), path.name
        shutil.rmtree(copy)


def test_every_altered_byte_is_a_reason_that_names_the_file(tmp_path: Path) -> None:
    folder = honest(tmp_path).build()
    for path in (*evidence_files(folder), folder / MANIFEST):
        copy = shutil.copytree(folder, tmp_path / "copy")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        (copy / path.name).write_bytes(content)
        verdict = judge(copy)
        assert verdict.verdict is Verdict.UNPROVEN, path.name
        assert verdict.reasons, path.name
        shutil.rmtree(copy)


def test_a_trial_document_that_is_no_json_is_unproven_and_named(tmp_path: Path) -> None:
    folder = honest(tmp_path).build()
    (folder / "trial.json").write_text("not JSON")
    verdict = judge(folder)
    assert verdict.reasons[0].startswith("trial.json is not a trial's document")
    assert verdict.exit_code is ExitCode.UNPROVEN


def test_an_altered_trial_document_can_not_accuse(tmp_path: Path) -> None:
    """Whoever lowers the initial stock must not make an honest strategy FAIL."""
    folder = honest(tmp_path).build()
    path = folder / "trial.json"
    path.write_text(path.read_text().replace('"stock": 5,', '"stock": 3,'))
    verdict = judge(folder)
    assert verdict.verdict is Verdict.UNPROVEN
    assert {finding.status for finding in verdict.findings} == {"undecided"}


def test_an_oversell_is_still_a_fail_when_other_evidence_is_gone(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for position in range(3):
        sale.change_row(position, quantity=4)
    folder = sale.build()
    (folder / "tries-0.parquet").unlink()
    verdict = judge(folder)
    assert verdict.verdict is Verdict.FAIL
    assert [finding.invariant for finding in verdict.findings if finding.status == "broken"] == ["I1", "I5"]
    assert "tries-0.parquet is missing" in verdict.reasons


def test_an_order_removed_behind_a_matching_manifest_never_passes(tmp_path: Path) -> None:
    sale = honest(tmp_path, unknowns=2)
    whole = list(sale.ledger)
    for position in range(len(whole)):
        sale.folder = tmp_path / f"without-{position}"
        sale.ledger = whole[:position] + whole[position + 1 :]
        assert judge(sale.build()).verdict is Verdict.FAIL


def test_stock_that_was_never_exhausted_bars_a_pass(tmp_path: Path) -> None:
    """Nobody ever stood before an empty shelf, so nothing could be oversold."""
    sale = honest(tmp_path, stock=500)
    assert any(why == "the stock was not exhausted: 442 units of sku-1 are left" for why in judge(sale.build()).reasons)


def test_purchases_one_after_the_other_bar_a_pass(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for number, placed in enumerate(sale.load):
        at_ns = OPENED_NS + number * 20 * MS
        times: dict[str, Any] = {"intended_ns": at_ns, "invoked_ns": at_ns, "returned_ns": at_ns + MS}
        placed.record = replace(placed.record, **times)
    assert only_reason(judge(sale.build())).startswith("no two purchases of the load were in flight at once")


def test_twins_that_meet_nobody_but_each_other_are_no_crowd(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial", stock=10, attempts=12, twins=12)
    for placed in sale.load:
        at_ns = OPENED_NS + placed.record.attempt * 20 * MS
        times: dict[str, Any] = {"intended_ns": at_ns, "invoked_ns": at_ns, "returned_ns": at_ns + MS}
        placed.record = replace(placed.record, **times)
    assert any(why.startswith("no two purchases of the load were in flight") for why in judge(sale.build()).reasons)


def test_overlap_after_the_last_sale_puts_nothing_to_the_test(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sold = [placed for placed in sale.load if placed.record.outcome is Outcome.SOLD]
    for number, placed in enumerate(sold):
        at_ns = OPENED_NS - (10 - number) * 20 * MS
        placed.record = replace(placed.record, intended_ns=at_ns, invoked_ns=at_ns, returned_ns=at_ns + MS)
    assert only_reason(judge(sale.build())).startswith("no two purchases of the load were in flight at once")


def with_fault(sale: BundleBuilder, **moments_ns: int) -> BundleBuilder:
    sale.faults = [
        FaultEvent(fault="redis_kill", step=cast(Any, step), at_ns=at_ns) for step, at_ns in moments_ns.items()
    ]
    return sale


def test_a_planned_fault_that_did_not_bite_bars_a_pass(tmp_path: Path) -> None:
    sale = with_fault(honest(tmp_path, fault="redis_kill"), injected=IN_LOAD_NS, healed=IN_LOAD_NS)
    assert only_reason(judge(sale.build())) == "the planned fault redis_kill did not bite"


def test_every_one_of_several_planned_faults_must_bite(tmp_path: Path) -> None:
    twice = (PlannedFault(fault="redis_kill", at_s=1, for_s=1), PlannedFault(fault="redis_kill", at_s=3, for_s=1))
    sale = honest(tmp_path, fault="redis_kill+redis_kill", planned_faults=twice)
    with_fault(sale, injected=IN_LOAD_NS, bit=IN_LOAD_NS, healed=IN_LOAD_NS)
    assert only_reason(judge(sale.build())) == "the planned fault redis_kill (number 2) did not bite"


def test_a_fault_that_bit_only_after_the_load_put_nothing_to_the_test(tmp_path: Path) -> None:
    late_ns = IN_LOAD_NS + 10**12
    sale = with_fault(honest(tmp_path, fault="redis_kill"), injected=IN_LOAD_NS, bit=late_ns, healed=late_ns)
    assert only_reason(judge(sale.build())) == "the planned fault redis_kill did not bite while the load was on"


def test_a_fault_that_bit_and_was_healed_is_no_doubt(tmp_path: Path) -> None:
    sale = with_fault(honest(tmp_path, fault="redis_kill"), injected=IN_LOAD_NS, bit=IN_LOAD_NS, healed=IN_LOAD_NS)
    assert judge(sale.build()).verdict is Verdict.PASS
    sale.faults.pop()
    sale.folder = tmp_path / "unhealed"
    assert only_reason(judge(sale.build())) == "the fault redis_kill was not healed before the drain"


@pytest.mark.parametrize("rest", [None, Quiescence(reached=False, waited_s=33, snapshots_apart_s=0, reason="2 holds")])
def test_no_rest_bars_a_pass_and_decides_nothing_about_the_stores(tmp_path: Path, rest: Quiescence | None) -> None:
    sale = honest(tmp_path, unknowns=1, quiescence=rest)
    sale.change_reading(postgres_remaining=3)
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert any("come to rest" in reason for reason in verdict.reasons)
    assert any(reason.startswith("1 purchases with unknown outcome") for reason in verdict.reasons)
    undecided = [finding.invariant for finding in verdict.findings if finding.status == "undecided"]
    assert undecided == ["I6", "I7", "I8", "I10"]


def test_no_ledger_bars_a_pass_and_lowers_the_tier(tmp_path: Path) -> None:
    folder = honest(tmp_path, ledger_source="none").build(sealed=False)
    (folder / "ledger.ndjson").unlink()
    (folder / "ledger-stated.ndjson").unlink()
    verdict = judge(_sealed(folder))
    assert verdict.tier is Tier.CLIENT
    assert "no ledger was read, so nothing shows whether sales were lost or invented" in verdict.reasons
    assert verdict.verdict is Verdict.UNPROVEN


def test_over_http_alone_the_tier_is_b(tmp_path: Path) -> None:
    sale = honest(tmp_path, ledger_source="target")
    folder = sale.build(sealed=False)
    stock = folder / "stock.json"
    stock.write_text(stock.read_text().replace('"stores"', '"target"'))
    verdict = judge(_sealed(folder))
    assert (verdict.verdict, verdict.tier) == (Verdict.PASS, Tier.LEDGER)


def test_orders_without_seq_lower_the_tier(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for position in range(len(sale.ledger)):
        sale.change_row(position, seq=None)
    for placed in sale.tries:
        placed.record = replace(placed.record, seq=None)
    assert judge(sale.build()).tier is Tier.LEDGER


Restate = Callable[[BundleBuilder], None]


def _one_order_less(sale: BundleBuilder) -> None:
    sale.stated_ledger = sale.ledger[1:]


def _another_user(sale: BundleBuilder) -> None:
    sale.stated_ledger = [replace(sale.ledger[0], user_id="u77"), *sale.ledger[1:]]


def _another_stock(sale: BundleBuilder) -> None:
    sale.stated_readings = [sale.readings[0].model_copy(update={"postgres_remaining": 2})]


def _no_stock(sale: BundleBuilder) -> None:
    sale.stated_readings = []


@pytest.mark.parametrize(
    ("restate", "reason"),
    [
        (_one_order_less, "the target states 4 orders, 5 were read from Postgres"),
        (_another_user, "of 5 orders read from Postgres, the target states 1 differently"),
        (_another_stock, "the target states postgres remaining 2 for sku-1, the stores hold 0"),
        (_no_stock, "the target states no stock for sku-1"),
    ],
)
def test_a_target_that_states_something_else_bars_a_pass(tmp_path: Path, restate: Restate, reason: str) -> None:
    sale = honest(tmp_path)
    restate(sale)
    assert only_reason(judge(sale.build())) == reason


def test_the_order_in_which_the_target_states_its_orders_does_not_matter(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sale.stated_ledger = sale.ledger[::-1]
    assert judge(sale.build()).verdict is Verdict.PASS


def test_a_stated_ledger_that_was_never_written_bars_a_pass(tmp_path: Path) -> None:
    folder = honest(tmp_path).build(sealed=False)
    (folder / "ledger-stated.ndjson").unlink()
    assert only_reason(judge(_sealed(folder))).startswith("the ledger that the target states is missing")


def test_a_key_that_two_purchases_share_bars_a_pass(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    first, second = sale.load[10], sale.load[12]
    second.record = replace(second.record, key=first.record.key)
    assert only_reason(judge(sale.build())) == "1 tries share their key with another purchase"


def test_a_trial_without_a_drain_bars_a_pass(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sale.tries = sale.load
    moments = sale.trial().moments.model_copy(update={"drain_started_ns": None, "drain_ended_ns": None})
    sale.trial_fields["moments"] = moments
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert "I12 is undecided: there was no drain" in verdict.reasons


def test_a_target_that_was_gone_is_not_taken_for_one_that_does_not_answer(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for placed in sale.drain[5:]:
        placed.record = replace(placed.record, outcome=Outcome.FAILED, status=0, returned_ns=None)
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert any("found nobody listening: the target was gone" in reason for reason in verdict.reasons)


def test_nobody_is_accused_of_silence_while_a_fault_lasts(tmp_path: Path) -> None:
    sale = honest(tmp_path, fault="worker_kill")
    sale.faults.append(FaultEvent(fault="worker_kill", step="injected", at_ns=OPENED_NS + 2 * MS))
    sale.faults.append(FaultEvent(fault="worker_kill", step="bit", at_ns=OPENED_NS + 3 * MS))
    for placed in sale.drain:
        placed.record = replace(placed.record, outcome=Outcome.UNKNOWN, status=0, returned_ns=None)
    verdict = judge(sale.build())
    assert verdict.verdict is Verdict.UNPROVEN
    assert "the fault worker_kill was not healed before the drain" in verdict.reasons


def test_a_trial_in_which_nothing_was_tried_bars_a_pass(tmp_path: Path) -> None:
    assert judge(BundleBuilder(tmp_path / "trial").build()).verdict is Verdict.UNPROVEN


# --- expectation, validity --------------------------------------------------------------------------------------------


def test_a_control_is_met_by_the_invariant_it_should_break(tmp_path: Path) -> None:
    sale = honest(tmp_path, control=True, expectation="fail:I1")
    sale.change_row(0, quantity=7)
    assert (judge(sale.build()).verdict, judge(sale.folder).met) == (Verdict.FAIL, True)


def test_a_control_that_breaks_something_else_is_not_met(tmp_path: Path) -> None:
    sale = honest(tmp_path, control=True, expectation="fail:I1")
    sale.add_read(remaining=-1)
    assert (judge(sale.build()).verdict, judge(sale.folder).met) == (Verdict.FAIL, False)


def test_a_control_that_passes_is_not_met(tmp_path: Path) -> None:
    verdict = judge(honest(tmp_path, control=True, expectation="fail:I1").build())
    assert (verdict.verdict, verdict.met) == (Verdict.PASS, False)


def test_an_expectation_that_means_nothing_is_a_doubt(tmp_path: Path) -> None:
    verdict = judge(honest(tmp_path, expectation="fail").build())
    assert (verdict.verdict, verdict.met) == (Verdict.UNPROVEN, False)


def test_an_overloaded_generator_makes_the_measurement_invalid(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    folder = sale.build(sealed=False)
    path = folder / "worker-0.closed.json"
    closing = WorkerClosing.from_json(path.read_bytes())
    path.write_text(closing.model_copy(update={"loop_lag_p99_ms": 900.0}).to_json())
    verdict = judge(_sealed(folder))
    assert (verdict.verdict, verdict.validity, verdict.exit_code) == (Verdict.PASS, Validity.INVALID, ExitCode.INVALID)
    assert verdict.invalid_reasons[0].startswith("load worker 0 was overloaded: its event loop was 900 ms late")


def test_so_does_one_that_ran_out_of_sockets(tmp_path: Path) -> None:
    folder = honest(tmp_path).build(sealed=False)
    path = folder / "worker-0.closed.json"
    closing = WorkerClosing.from_json(path.read_bytes())
    path.write_text(closing.model_copy(update={"unsent": 3}).to_json())
    verdict = judge(_sealed(folder))
    assert (verdict.verdict, verdict.validity) == (Verdict.PASS, Validity.INVALID)
    assert verdict.invalid_reasons[0].startswith(
        "load worker 0 ran out of sockets or ports: 3 of its requests never left"
    )


def test_late_starts_make_the_measurement_invalid(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    for placed in sale.load:
        placed.record = replace(placed.record, intended_ns=placed.record.invoked_ns - 2_000 * MS)
    reason = "the load generator was overloaded: purchases were sent 2000 ms after they were due (p99, limit 100 ms)"
    assert judge(sale.build()).invalid_reasons == (reason,)


def test_a_lag_that_is_small_beside_what_purchases_take_is_allowed(tmp_path: Path) -> None:
    """A thousand buyers at once can't all be sent in the same moment, and then wait for seconds."""
    sale = honest(tmp_path)
    for placed in sale.load:
        sent_ns = placed.record.invoked_ns
        placed.record = replace(placed.record, intended_ns=sent_ns - 300 * MS, returned_ns=sent_ns + 1_400 * MS)
    assert judge(sale.build()).validity is Validity.VALID


@pytest.mark.parametrize(("origin", "valid"), [("bundled", False), ("given", True)])
def test_a_database_in_memory_makes_the_measurement_invalid(tmp_path: Path, origin: str, valid: bool) -> None:
    fingerprint = {"work": {"postgres": {"origin": origin}}, "machine": {"scratch_filesystem": "tmpfs"}}
    verdict = judge(honest(tmp_path, fingerprint=fingerprint).build())
    assert (verdict.validity is Validity.VALID) == valid


def test_invalid_never_hides_a_fail(tmp_path: Path) -> None:
    sale = honest(tmp_path, fingerprint={"machine": {"scratch_filesystem": "tmpfs"}})
    sale.change_row(0, quantity=7)
    assert judge(sale.build()).exit_code is ExitCode.FAIL


# --- at the edges -----------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_trials_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a trial's folder"):
        judge(tmp_path)
    with pytest.raises(UsageError, match="not a trial's folder"):
        Judge()(tmp_path)


def test_judging_apart_says_the_same(tmp_path: Path) -> None:
    folder = honest(tmp_path, unknowns=1, limit=1).build()
    assert Judge()(folder) == judge(folder)


def test_the_command_prints_the_verdict_and_exits_by_it(tmp_path: Path) -> None:
    sale = honest(tmp_path)
    sale.change_row(0, quantity=7)
    command = [sys.executable, "-m", "reports.judging", os.fspath(sale.build())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAIL
    assert done.stdout.startswith("FAIL  row_lock, trial")


def test_the_drains_users_are_its_own() -> None:
    sale = BundleBuilder.honest(Path("unused"))
    assert min(placed.record.user for placed in sale.drain) == DRAIN_FIRST_USER


def _sealed(folder: Path) -> Path:
    seal(folder)
    return folder
