"""If these fail, a report misleads, breaks off, or needs more than itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flashbench import UsageError, Verdict
from flashbench.evidence.bundle import Bundle
from flashbench.evidence.documents import PlannedTrial, SuiteDocument
from flashbench.vocabulary import Outcome
from reports.latency.figures import figures
from reports.places import places
from reports.render.palette import colour
from reports.report import write_report
from reports.summary import summarize
from tests.bundles import BundleBuilder

NASTY = "<script>alert(1)</script>|x"


class Page(HTMLParser):
    """Tags and what they refer to; complains of tags that are not closed."""

    VOID = frozenset({"meta", "link", "br", "path", "use", "rect", "circle", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    """Builds a suite of honest trials, and of one oversold control."""

    def build(strategies: tuple[str, ...] = ("row_lock", "redis_lua"), *, control: bool = True) -> Path:
        folder, planned = tmp_path / "suite", []
        for number, strategy in enumerate(strategies):
            name = f"{number}-trial"
            builder = BundleBuilder.honest(folder / name, stock=400, attempts=900, seed=number, trial=name)
            builder.strategy = strategy
            builder.build()
            planned.append(PlannedTrial(trial=name, strategy=strategy, scenario="flash_sale", seed=number))
        if control:
            name = "9-control"
            builder = BundleBuilder.honest(
                folder / name, stock=5, trial=name, control=True, expectation="fail:I1", seed=9
            )
            builder.strategy = "naive"
            builder.items = tuple(item.model_copy(update={"stock": 3}) for item in builder.items)
            builder.build()
            planned.append(
                PlannedTrial(
                    trial=name, strategy="naive", scenario="flash_sale", seed=9, control=True, expectation="fail:I1"
                )
            )
        document = SuiteDocument(
            suite="made-up",
            trials=tuple(planned),
            command=("flashbench", "run", "made-up"),
            fingerprint={"work": {"postgres": {"version": "18"}}, "machine": {"cores": 2}},
        )
        (folder / "suite.json").write_text(document.to_json())
        return folder

    return build


def test_a_page_stands_alone_and_shows_verdict_controls_comparison_and_curves(suite: Callable[..., Path]) -> None:
    paths = write_report(suite())

    text = paths.html.read_text()
    page = Page(text)
    assert [reference for reference in page.references if not reference.startswith(("#", "data:"))] == []
    assert "<script" not in text
    assert re.findall(r"url\((?!#)[^)]*\)", text) == []
    assert page.tags.count("figure") == 3  # latency of sold and of sold out, and the course of the sale
    for words in ("PASS", "row_lock", "redis_lua", "naive", "1 of 1", "p99", "flashbench run made-up"):
        assert words in page.words
    assert len(paths.plots) == 6
    assert all(path.stat().st_size > 1000 for path in paths.plots)


def test_a_control_is_not_compared(suite: Callable[..., Path]) -> None:
    summary = summarize(suite())

    assert [row.strategy for row in summary.strategies] == ["row_lock", "redis_lua"]
    assert summary.verdict.verdict is Verdict.PASS


def test_what_users_named_is_text_and_never_markup(suite: Callable[..., Path]) -> None:
    paths = write_report(suite((NASTY, "row_lock")))

    assert "<script" not in paths.html.read_text()
    assert NASTY in Page(paths.html.read_text()).words
    assert "<script" not in paths.markdown.read_text()


def test_json_holds_the_figures_that_the_evidence_gives(suite: Callable[..., Path]) -> None:
    folder = suite()

    document = json.loads(write_report(folder).json.read_text())

    for trial in document["trials"]:
        again = figures(Bundle.load(folder / trial["verdict"]["trial"]))
        assert trial["figures"]["units_sold"] == again.units_sold
        assert trial["figures"]["sell_out_s"] == again.sell_out_s
        assert trial["figures"]["by_outcome"]["sold"] == again.by_outcome[Outcome.SOLD]
    assert document["verdict"]["verdict"] == "PASS"


def test_markdown_has_a_row_for_each_strategy_control_and_trial(suite: Callable[..., Path]) -> None:
    text = write_report(suite()).markdown.read_text()

    assert text.startswith("# PASS: made-up")
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(tables) == 3 + 1 + 2 + 3
    widths = {line.count("|") for line in text.splitlines() if line.startswith(("| strategy", "| r"))}
    assert len(widths) == 1


def test_without_a_control_the_page_says_what_that_means(suite: Callable[..., Path]) -> None:
    page = Page(write_report(suite(control=False)).html.read_text())

    assert "nothing shows that one would have been caught" in page.words
    assert "UNPROVEN" in page.words


def test_a_failed_trial_shows_its_offenders(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=5)
    builder.items = tuple(item.model_copy(update={"stock": 3}) for item in builder.items)

    page = Page(write_report(builder.build()).html.read_text())

    assert "FAIL" in page.words
    assert "ledger rows" in page.words


def test_an_invalid_measurement_has_no_figures_but_its_verdict(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=5)
    builder.trial_fields["fingerprint"] = {"machine": {"scratch_filesystem": "tmpfs"}}

    document = json.loads(write_report(builder.build()).json.read_text())

    (trial,) = document["trials"]
    assert trial["verdict"]["validity"] == "INVALID"
    assert trial["figures"] is None
    assert "tmpfs" in trial["withheld"] or "memory" in trial["withheld"]
    assert document["strategies"] == []


@pytest.mark.parametrize("damage", ["trial.json", "tries-0.parquet", "ledger.parquet", "stock.json"])
def test_missing_evidence_still_gives_a_report(suite: Callable[..., Path], damage: str) -> None:
    folder = suite()
    (folder / "0-trial" / damage).unlink()

    page = Page(write_report(folder).html.read_text())

    assert "UNPROVEN" in page.words
    assert damage in page.words


def test_a_sale_that_sold_nothing_still_gives_a_report(tmp_path: Path) -> None:
    builder = BundleBuilder.honest(tmp_path / "t", stock=0, attempts=24)

    paths = write_report(builder.build())

    assert "Comparison" in Page(paths.html.read_text()).words


def test_a_folder_without_evidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(str(tmp_path))):
        write_report(tmp_path)


def test_a_strategy_keeps_its_colour_whatever_else_runs() -> None:
    alone, among = places(["redis_lua"]), places(["redis_lua", "mine", "another", "row_lock"])

    assert alone["redis_lua"] == among["redis_lua"]
    assert len({colour(place) for place in among.values()}) == len(among)
