"""If these fail, the matrix of faults and strategies hides what happened, or leads nowhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reports.matrix import Matrix, matrix
from reports.render import matrix_words
from reports.render.outage_pages import course_in_words
from reports.render.words import NONE
from reports.report import ReportPaths, write_report
from reports.summary import summarize
from tests.outage_lab import CASES, STRATEGIES, lab
from tests.outages import long_sale, with_fault

FEW = ("redis-kill", "redis-and-a-worker")


@pytest.fixture(scope="module")
def mishaps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Matrix, ReportPaths]:
    """A large matrix in which not all is well."""
    folder = lab(tmp_path_factory.mktemp("lab") / "suite", mishaps=True)
    return matrix(summarize(folder)), write_report(folder)


def links(page: Path) -> Sequence[str]:
    return re.findall(r'href="([^"]*)"', page.read_text())


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.is_file() and (not anchor or f'id="{anchor}"' in target.read_text())


def stands_alone(page: Path) -> bool:
    """It asks for nothing but to be followed to what stands beside it."""
    text = page.read_text()
    asked = re.findall(r'(?:src|xlink:href)="(?!#|data:)([^"]*)"', text) + re.findall(r"url\((?!#)[^)]*\)", text)
    followed = [each for each in links(page) if not each.startswith("data:")]
    return not asked and "<script" not in text and all(leads_somewhere(page, each) for each in followed)


def test_every_cell_says_how_many_passed_and_which_target_is_missed(mishaps: tuple[Matrix, ReportPaths]) -> None:
    found, paths = mishaps
    cells = {(each.case, each.strategy): each for each in found.cells}
    assert len(cells) == len(CASES) * len(STRATEGIES)
    assert found.strategies == STRATEGIES

    assert [each.target.short for each in cells["redis-kill", "redis_lock"].missed] == [
        *("availability", "slow request", "locks")
    ]
    assert not cells["redis-kill", "row_lock"].missed
    unbitten, forged = cells["redis-black-hole", "redis_lua"], cells["commit-reply-lost", "redis_lua"]
    gone = cells["worker-dies-after-hold", "redis_lua"]
    assert (unbitten.verdict, unbitten.passed, unbitten.count) == ("UNPROVEN", 1, 2)
    assert (forged.verdict, forged.passed, forged.count) == ("FAIL", 1, 2)
    assert (gone.verdict, gone.passed, gone.count, gone.missing) == ("UNPROVEN", 1, 2, 1)

    page = paths.html.read_text()
    assert "When Redis, Postgres, the network or the app goes away" in page
    for words in ("2/2 PASS", "1/2 UNPROVEN", "1/2 FAIL", "✗ availability, slow request, locks"):
        assert words in page
    assert "Redis killed, redis_lock: slowest request: 2.35 s in redis-kill-redis_lock-s" in page
    assert "Targets while something fails (meant for 10 trials a cell, here as few as 1): " in page
    assert re.search(rf"[( ]{len(gone.not_shown)} where trials are missing[,)]", page)
    assert gone.not_shown


def test_a_recovery_that_one_trial_did_not_show_is_not_told_as_if_all_had(mishaps: tuple[Matrix, ReportPaths]) -> None:
    found, _ = mishaps
    cell = next(each for each in found.cells if (each.case, each.strategy) == ("redis-kill", "row_lock"))
    assert cell.outage is not None
    first, second = cell.outage.trials
    assert first.outage is not None
    assert second.outage is not None
    unseen = replace(first, outage=replace(first.outage, recovered_s=None, unrecovered_s=2.4))
    half = replace(cell, outage=replace(cell.outage, trials=(unseen, second)))

    assert matrix_words.recovery(cell) == f"{cell.recovered_s:.1f} s"
    assert matrix_words.recovery(half) == f"{second.outage.recovered_s:.1f} s in 1 of 2"
    assert course_in_words(half)[-1].endswith(" in 1 of 2 trials.")
    nowhere = replace(cell, outage=replace(cell.outage, trials=(unseen, unseen)))
    assert matrix_words.recovery(nowhere) == NONE
    assert not any("as before" in sentence for sentence in course_in_words(nowhere))


def test_rows_are_in_the_words_that_people_use_and_those_that_hurt_redis_come_first(
    mishaps: tuple[Matrix, ReportPaths],
) -> None:
    found, _ = mishaps
    assert [row.words for row in found.rows] == [
        "Redis hung, 3 times",
        "Redis killed",
        "Network to Redis black-holed",
        "Postgres stopped",
        "Replies of Postgres to COMMIT dropped",
        "App worker killed after hold",
        "Redis killed + App worker killed",
    ]


def test_every_page_is_there_stands_alone_and_leads_to_the_others(mishaps: tuple[Matrix, ReportPaths]) -> None:
    found, paths = mishaps
    assert found.is_large
    assert len(paths.outages) == len(found.cells) + len(found.rows)
    assert all(stands_alone(page) for page in (paths.html, *paths.outages))
    assert {f"outages/{cell.page}" for cell in found.cells} <= set(links(paths.html))


def test_of_many_cases_the_report_itself_has_no_timeline_but_each_page_has(
    mishaps: tuple[Matrix, ReportPaths],
) -> None:
    found, paths = mishaps
    assert "what buyers and stores saw" not in paths.html.read_text()
    assert all("what buyers and stores saw" in page.read_text() for page in paths.outages)
    assert {f"timeline-{row.case}.png" for row in found.rows} <= {path.name for path in paths.plots}


def test_of_few_cases_the_timelines_stand_in_the_report(tmp_path: Path) -> None:
    paths = write_report(lab(tmp_path / "suite", cases=FEW, seeds=1))
    page = paths.html.read_text()
    assert page.count("what buyers and stores saw") == len(FEW)
    assert len(paths.outages) == len(FEW) * len(STRATEGIES)
    assert all(stands_alone(each) for each in (paths.html, *paths.outages))


def test_a_cells_page_says_what_happened_when_and_what_showed_it(mishaps: tuple[Matrix, ReportPaths]) -> None:
    _, paths = mishaps
    pages = {page.name: page.read_text() for page in paths.outages}
    both = pages["redis-and-a-worker--redis_lua.html"]
    assert "Redis killed from 3.0 s to 6.0 s; App worker killed from 4.0 s to 4.6 s of the sale." in both
    assert "injected 3.00–3.01 s" in both
    assert "took effect 4.02–4.03 s: a connection is refused" in both
    assert "healed 4.60–4.62 s: it answers" in both
    assert "2 bought, 2 not" in both
    flapping = pages["redis-hang-flapping--redis_lua.html"]
    assert "Redis hung 3 times, from 2.0 s to 6.0 s of the sale." in flapping
    unbitten = pages["redis-black-hole--redis_lua.html"]
    assert "took effect 3.03 s, in 1 of 2 trials" in unbitten
    assert "redis-black-hole-redis_lua-s0: UNPROVEN, the planned fault net_blackhole did not bite" in unbitten
    assert "commit-reply-lost-redis_lua-s0: FAIL, I1 " in pages["commit-reply-lost--redis_lua.html"]
    assert "1 planned trial is missing" in pages["worker-dies-after-hold--redis_lua.html"]
    assert "20 are asked for" in pages["postgres-stop--row_lock.html"]


def test_a_picture_tells_in_words_which_faults_were_on_when(mishaps: tuple[Matrix, ReportPaths]) -> None:
    _, paths = mishaps
    (page,) = [each for each in paths.outages if each.name == "redis-and-a-worker--redis_lua.html"]
    (alt,) = re.findall(r'aria-label="([^"]*)"', page.read_text())
    assert "Redis killed from 3.0 s to 6.0 s; App worker killed from 4.0 s to 4.6 s" in alt


def test_markdown_and_json_have_the_matrix_too(mishaps: tuple[Matrix, ReportPaths]) -> None:
    found, paths = mishaps
    text = paths.markdown.read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| (Redis|Network|Postgres|Replies|App)", line)]
    assert len(rows) == len(found.rows)
    assert len({line.count("|") for line in rows}) == 1
    assert re.search(r"✗ availability, slow request, locks \|", text)

    document = json.loads(paths.json.read_text())
    assert len(document["matrix"]) == len(found.cells)
    (cell,) = [each for each in document["matrix"] if (each["case"], each["strategy"]) == ("redis-kill", "redis_lock")]
    statuses = {each["name"]: each["status"] for each in cell["targets"]}
    assert statuses["slowest request"] == "missed"
    assert statuses["recovery"] == "met"
    (lock,) = [each for each in document["outages"] if (each["case"], each["strategy"]) == ("redis-kill", "redis_lock")]
    assert lock["trials"][0]["stale_locks"] == 1
    assert lock["trials"][0]["spans"][0]["words"] == "Redis killed"


def test_without_telemetry_a_cell_says_what_it_can_and_draws_nothing_empty(tmp_path: Path) -> None:
    paths = write_report(lab(tmp_path / "suite", cases=FEW, seeds=1, telemetry=False))
    for page in (paths.html, *paths.outages):
        assert "nothing recorded" not in page.read_text()
        assert "breakers" not in " ".join(re.findall(r"<svg.*?</svg>", page.read_text(), re.DOTALL))
    (page,) = [each for each in paths.outages if each.name == "redis-kill--redis_lua.html"]
    assert "locks held past" not in page.read_text()


def test_a_suite_in_which_nothing_is_proven_has_a_matrix_that_says_so(tmp_path: Path) -> None:
    folder = lab(tmp_path / "suite", cases=FEW, seeds=1)
    for ledger in folder.glob("*/ledger.parquet"):
        ledger.unlink()
    paths = write_report(folder)
    assert {cell.verdict for cell in matrix(summarize(folder)).cells} == {"UNPROVEN"}
    assert "could not decide" in paths.outages[0].read_text()
    assert all(stands_alone(each) for each in (paths.html, *paths.outages))


def test_trials_that_are_all_missing_leave_cells_without_figures(tmp_path: Path) -> None:
    folder = lab(tmp_path / "suite", cases=FEW, seeds=2)
    for trial in folder.glob("redis-*"):
        shutil.rmtree(trial)
    paths = write_report(folder)
    assert "0/2 UNPROVEN" in paths.html.read_text()
    assert "no figures" in paths.html.read_text()
    assert all("2 planned trials are missing" in page.read_text() for page in paths.outages)
    assert all(stands_alone(each) for each in (paths.html, *paths.outages))


def test_measurements_that_are_withheld_leave_the_verdict_and_say_why(tmp_path: Path) -> None:
    folder = lab(tmp_path / "suite", cases=FEW[:1], seeds=1, strategies=("row_lock",))
    alone = with_fault(long_sale(folder / "redis-kill-row_lock-s0"), 3, 5)
    shutil.rmtree(alone.folder)
    alone.trial_fields |= {"scenario": "sustained", "case": "redis-kill", "alone": False}
    alone.build()
    paths = write_report(folder)
    (page,) = paths.outages
    assert "1/1 PASS" in paths.html.read_text()
    assert "no figures, since other trials ran at the same time" in page.read_text()
    assert "<svg" not in page.read_text()


def test_a_fault_that_was_never_injected_is_no_trial_without_a_fault(tmp_path: Path) -> None:
    folder = lab(tmp_path / "suite", cases=FEW[:1], seeds=1, strategies=("row_lock",))
    never = with_fault(long_sale(folder / "redis-kill-row_lock-s0"), 3, 5)
    shutil.rmtree(never.folder)
    never.faults = []
    never.trial_fields |= {"scenario": "sustained", "case": "redis-kill"}
    never.build()
    summary = summarize(folder)
    assert summary.cases == ("calm",)
    assert summary.outages == ()
    (page,) = write_report(folder).outages
    assert "no figures, since no fault was injected" in page.read_text()


def test_one_trial_alone_has_a_matrix_of_one_cell_and_its_folder_stays_evidence(tmp_path: Path) -> None:
    builder = with_fault(long_sale(tmp_path / "alone"), 3, 5)
    paths = write_report(builder.build())
    (page,) = paths.outages
    assert "1/1 PASS" in paths.html.read_text()
    assert "recovery: not shown, since no fault-free trial" in page.read_text()
    assert stands_alone(page)
    assert summarize(builder.folder).verdict.verdict == "PASS"


def test_names_that_no_file_can_have_still_get_a_page_each(tmp_path: Path) -> None:
    for number, case in enumerate(("a/b", "a\\b", "../report")):
        builder = with_fault(long_sale(tmp_path / f"t{number}"), 3, 5)
        builder.trial_fields["case"] = case
        builder.build()
    paths = write_report(tmp_path)
    assert len({page.name.lower() for page in paths.outages}) == 3
    assert {page.parent for page in paths.outages} == {tmp_path / "outages"}
    assert all(stands_alone(page) for page in (paths.html, *paths.outages))
