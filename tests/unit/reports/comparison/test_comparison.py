"""If these fail, runs that can't be compared are, luck fails a build, or a slower app passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flashbench.errors import UsageError
from flashbench.evidence.sealing import seal
from flashbench.vocabulary import ExitCode
from reports.compare import write_comparison
from reports.comparison.compared import Comparison, compare
from reports.comparison.fingerprints import build_differences, machine_differences, work_differences
from reports.render import comparison as render
from tests.outages import FINGERPRINT, outage_suite


def run(folder: Path, **fields: Any) -> Path:
    """A run of one strategy without faults."""
    given: dict[str, Any] = {"seeds": 5, "strategies": ("row_lock",), "faults": (None,), "telemetry": False}
    return outage_suite(folder, **{**given, **fields})


def changed(part: str, **facts: Any) -> dict[str, dict[str, Any]]:
    return {**FINGERPRINT, part: {**FINGERPRINT[part], **facts}}


def test_a_slower_app_is_a_regression_and_a_faster_one_is_not(tmp_path: Path) -> None:
    base, slow = run(tmp_path / "base"), run(tmp_path / "slow", answer_ms=5)

    worse, better = compare(base, slow), compare(slow, base)

    assert worse.exit_code is ExitCode.REGRESSION
    assert {(row.strategy, row.metric.name) for row in worse.regressions} == {
        ("row_lock", "sold p50"),
        ("row_lock", "sold p95"),
    }
    assert render.title(worse) == "PASS, slower"
    assert (better.exit_code, better.regressions) == (ExitCode.PASS, ())


def test_the_same_against_itself_calls_nothing(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "base"), run(tmp_path / "new"))
    assert found.exit_code is ExitCode.PASS
    assert found.decidable
    assert [row.word for row in found.rows if row.called] == []
    assert render.title(found) == "PASS, no regression called"


def test_a_difference_within_the_stated_minimum_does_not_count(tmp_path: Path) -> None:
    base, new = run(tmp_path / "base", answer_ms=10), run(tmp_path / "new", answer_ms=11)
    assert compare(base, new).exit_code is ExitCode.PASS
    assert compare(base, new, minimum=0.05).exit_code is ExitCode.REGRESSION


def test_two_trials_against_two_decide_nothing_and_say_so(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "base", seeds=2), run(tmp_path / "new", seeds=2, answer_ms=50))
    assert found.exit_code is ExitCode.INVALID
    assert not found.decidable
    assert render.title(found) == "PASS, too few trials to judge latency"
    assert any("too few trials" in sentence for sentence in render.sentences(found))


def test_a_single_trial_has_no_interval(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "base", seeds=1), run(tmp_path / "new", seeds=1))
    assert all(render.cells(found, row)[6] == "–" for row in found.rows)


def test_different_work_is_refused_and_named_and_can_be_forced(tmp_path: Path) -> None:
    base = run(tmp_path / "base")
    other = run(tmp_path / "other", answer_ms=9, fingerprint=changed("work", redis={"version": "8.0"}))

    with pytest.raises(UsageError, match=r"different work \(redis: nothing against .*8\.0.*\): .*--force"):
        compare(base, other)

    forced = compare(base, other, force=True)
    assert not forced.judged
    assert forced.exit_code is ExitCode.PASS
    assert all(render.cells(forced, row)[-1] == "not judged" for row in forced.rows)


def test_another_revision_is_what_a_comparison_is_about(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "base"), run(tmp_path / "new", fingerprint=changed("work", revision="b2")))
    assert found.code == ("revision: a1 against b2",)
    assert found.judged


def test_another_machine_warns_and_gives_no_verdict_on_latency(tmp_path: Path) -> None:
    elsewhere = run(tmp_path / "new", answer_ms=50, fingerprint=changed("machine", cpu="slide rule"))
    found = compare(run(tmp_path / "base"), elsewhere)
    assert found.exit_code is ExitCode.PASS
    assert render.title(found) == "PASS, latency not judged"
    assert any("cpu: abacus against slide rule" in sentence for sentence in render.sentences(found))


def test_a_wrong_verdict_counts_more_than_any_latency(tmp_path: Path) -> None:
    base, new = run(tmp_path / "base"), run(tmp_path / "new", answer_ms=9)
    (new / "sustained-row_lock-s0" / "ledger.parquet").unlink()
    assert compare(base, new).exit_code is ExitCode.UNPROVEN


@pytest.mark.parametrize("which", ["base", "new"])
def test_what_is_no_run_is_refused(tmp_path: Path, which: str) -> None:
    real = run(tmp_path / "real", seeds=1)
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            compare(*((wrong, real) if which == "base" else (real, wrong)))


def test_runs_without_a_trial_in_common_leave_nothing_to_compare(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "base"), run(tmp_path / "new", strategies=("redis_lua",)))
    assert found.rows == ()
    assert found.exit_code is ExitCode.INVALID
    assert render.title(found) == "PASS, latency not all measured in both runs"
    assert render.sentences(found)[1:] == [
        "Only one of the runs has redis_lua, row_lock, so that is not compared.",
        "There is no latency of sales without faults to be judged: no strategy has it in both runs.",
    ]
    page = write_comparison(found, tmp_path / "out").read_text()
    assert "There is nothing to compare" in page
    assert "There is nothing to compare" in (tmp_path / "out" / "comparison.md").read_text()


@pytest.mark.parametrize(("lacking", "side"), [("base", "the base"), ("new", "the new run")])
def test_what_only_one_side_measured_is_not_taken_for_equal(tmp_path: Path, lacking: str, side: str) -> None:
    for name in ("base", "new"):
        run(tmp_path / name, strategies=("row_lock", "redis_lua"))
    for trial in (tmp_path / lacking).glob("sustained-row_lock-*"):
        _withhold(trial)

    found = compare(tmp_path / "base", tmp_path / "new")

    assert {(row.strategy, row.metric.name) for row in found.unmeasured} == {
        ("row_lock", "sold p50"),
        ("row_lock", "sold p95"),
    }
    assert found.exit_code is ExitCode.INVALID
    assert render.title(found) == "PASS, latency not all measured in both runs"
    assert f"row_lock in sustained: sold p50 was not measured in {side}." in render.sentences(found)


def test_one_strategy_with_too_few_trials_is_not_covered_by_another_with_enough(tmp_path: Path) -> None:
    for name in ("base", "new"):
        run(tmp_path / name, strategies=("row_lock", "redis_lua"))
    for number in range(4):
        _withhold(tmp_path / "base" / f"sustained-row_lock-s{number}")

    found = compare(tmp_path / "base", tmp_path / "new")

    assert found.exit_code is ExitCode.INVALID
    assert {render.cells(found, row)[-1] for row in found.rows if row.strategy == "row_lock"} == {
        "too few trials to tell"
    }
    assert {render.cells(found, row)[-1] for row in found.rows if row.strategy == "redis_lua"} == {
        "no difference called"
    }


def test_runs_that_were_to_meet_faults_only_have_no_latency_to_be_judged(tmp_path: Path) -> None:
    base, new = (run(tmp_path / name, seeds=1, faults=("redis_kill",)) for name in ("base", "new"))
    found = compare(base, new)
    assert found.exit_code is ExitCode.PASS
    assert render.title(found) == "PASS, no latency to be judged"


def test_runs_of_several_trials_at_once_were_never_to_have_figures(tmp_path: Path) -> None:
    crowded = changed("work", at_once=4)
    base, new = (run(tmp_path / name, seeds=1, fingerprint=crowded) for name in ("base", "new"))
    for trial in tmp_path.glob("*/sustained-*"):
        _withhold(trial)
    found = compare(base, new)
    assert found.exit_code is ExitCode.PASS
    assert render.title(found) == "PASS, no latency to be judged"


def _withhold(trial: Path) -> None:
    """As if others had run beside it: correct, and no figures."""
    document = json.loads((trial / "trial.json").read_text())
    (trial / "trial.json").write_text(json.dumps({**document, "alone": False}))
    (trial / "manifest.json").unlink()
    seal(trial)


def test_trials_of_another_schema_version_are_no_figures_and_no_traceback(tmp_path: Path) -> None:
    new = run(tmp_path / "new")
    for path in new.glob("sustained*/trial.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    found = compare(run(tmp_path / "base"), new)
    assert found.exit_code is ExitCode.UNPROVEN
    assert {(row.new, row.word) for row in found.rows} == {((), "not measured")}


def comparison(tmp_path: Path) -> Comparison:
    return compare(run(tmp_path / "base"), run(tmp_path / "new", answer_ms=5))


def test_every_form_says_the_same(tmp_path: Path) -> None:
    page = write_comparison(comparison(tmp_path), tmp_path / "out")

    text = page.read_text()
    assert "PASS, slower" in text
    assert "<svg" in text
    assert "src=" not in text
    assert (tmp_path / "out" / "differences.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document["exit_code"] == 13
    assert {row["word"] for row in document["rows"] if row["gate"]} == {"worse"}
    assert "| sustained | row_lock | sold p50, ms | 3.20 | 5.20 |" in (tmp_path / "out" / "comparison.md").read_text()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="can't be written"):
        write_comparison(comparison(tmp_path), tmp_path / "out")


def test_fingerprints_differ_by_what_was_asked_and_where_it_ran() -> None:
    work = {"cases": {"a": {"stock": 5, "users": 9}}, "revision": "x"}
    assert work_differences(work, {**work, "revision": "y"}) == []
    assert work_differences(work, {**work, "cases": {"a": {"stock": 6, "users": 9}}}) == [
        "cases, a, stock: 5 against 6"
    ]
    assert work_differences(work, {**work, "cases": {}}) == ["cases, a: {'stock': 5, 'users': 9} against nothing"]
    machine = {"cpu": "abacus", "fsync_p50_us": 1000}
    assert machine_differences(machine, {**machine, "fsync_p50_us": 2000}) == []
    assert machine_differences(machine, {**machine, "fsync_p50_us": 4000}) == ["fsync p50 us: 1000 against 4000"]
    assert build_differences(machine, {**machine, "fsync_p50_us": 4000}) == [], "it may just be busy"
    assert build_differences(machine, {**machine, "cpu": "a man"}) == ["cpu: abacus against a man"]
    assert machine_differences(machine, {"cpu": "abacus"}) == ["fsync p50 us: 1000 against nothing"]
