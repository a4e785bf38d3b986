"""The diagram of a story: bars that lie where the events do, in every form that the report has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flashbench.evidence.documents import FindingDocument, StoryDocument, StoryEvent
from flashbench.vocabulary import Outcome
from reports.render.stories import diagram
from reports.report import write_report
from tests.bundles import MS, BundleBuilder


def finding(*events: StoryEvent) -> FindingDocument:
    return FindingDocument(invariant="I8", title="t", status="broken", sentence="s", story=StoryDocument(events=events))


def test_bars_lie_where_the_events_do() -> None:
    told = diagram(
        finding(
            StoryEvent(kind="try", from_ms=10, to_ms=20, who="u1", what="asks"),
            StoryEvent(kind="order", from_ms=25, who="u1", what="has"),
            StoryEvent(kind="try", from_ms=30, to_ms=None, who="u2", what="asks"),
            StoryEvent(kind="order", from_ms=None, who="u3", what="has"),
        )
    )
    assert told is not None
    assert told.scale == "10.0 to 30.0 ms"
    first, order, cut_off, timeless = told.lanes
    assert (first.left, first.when) == (0, "10.0 – 20.0")
    assert first.width == pytest.approx(48, abs=1)
    assert first.left + first.width < order.left < cut_off.left
    assert cut_off.left + cut_off.width == pytest.approx(100)
    assert (cut_off.open_ended, timeless.width) == (True, 0)


def test_facts_alone_make_no_bars() -> None:
    told = diagram(finding())
    assert told is not None
    assert (told.lanes, told.scale) == ((), "")
    assert diagram(FindingDocument(invariant="I1", title="t", status="held", sentence="s")) is None


def test_the_page_shows_the_story_of_what_is_broken(tmp_path: Path) -> None:
    sale = BundleBuilder.honest(tmp_path / "trial")
    first_ns = min(each.record.invoked_ns for each in sale.load)
    refused = next(each for each in sale.load if each.record.outcome is Outcome.SOLD_OUT)
    early_ns = first_ns - 10 * MS
    refused.record = replace(refused.record, intended_ns=early_ns, invoked_ns=early_ns, returned_ns=early_ns + MS)
    page = write_report(sale.build()).html.read_text()
    assert "I8 sold out is true: what shows it" in page
    assert '<i class="sold_out" style="left:0.00%' in page
    assert page.count('<i class="sold"') == 3
