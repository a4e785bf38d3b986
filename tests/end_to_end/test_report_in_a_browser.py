"""If these fail, somebody who opens the report sees less than it says, or something that nobody would show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.report import ReportPaths, write_report
from tests.browser import Browser, browser, executable
from tests.outage_lab import lab
from tests.outages import outage_suite

pytestmark = pytest.mark.skipif(executable() is None, reason="there is no Chromium on the PATH")

WIDTHS = (390, 1440)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    return write_report(outage_suite(tmp_path_factory.mktemp("report") / "suite", seeds=2))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of many faults, in which not all is well, and pages beside it."""
    found = write_report(lab(tmp_path_factory.mktemp("lab") / "suite", mishaps=True))
    pages = {page.stem: page for page in found.outages}
    return {
        "report": found.html,
        "cell": pages["redis-kill--redis_lock"],
        "case": pages["redis-and-a-worker"],
        "forged": pages["commit-reply-lost--redis_lua"],
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_asks_the_network_for_nothing_and_complains_of_nothing(
    tab: Browser, paths: ReportPaths, width: int, dark: bool
) -> None:
    tab.open(paths.html, width=width, dark=dark)

    assert [url for url in tab.requests if not url.startswith("data:")] == [paths.html.as_uri()]
    assert tab.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_the_window_and_only_tables_scroll(tab: Browser, paths: ReportPaths, width: int) -> None:
    tab.open(paths.html, width=width)

    assert_fits(tab, width)


def assert_fits(tab: Browser, width: int) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll("main *")].filter(each =>
        !each.closest(".scroll") && !each.closest("svg") && !each.closest("pre") && !each.closest("details:not([open])")
        && each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 80))"""
    assert tab.evaluate(outside) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_picture_is_there_and_its_text_can_be_read(tab: Browser, paths: ReportPaths, width: int) -> None:
    tab.open(paths.html, width=width)

    boxes = tab.evaluate(
        "[...document.querySelectorAll('figure svg')].map(each => { const box = each.getBoundingClientRect();"
        " return [box.width, box.height] })"
    )
    assert len(boxes) == len(paths.plots) / 2
    assert all(wide > 280 and high > 150 for wide, high in boxes)
    smallest = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg text')].map(each =>"
        " each.getBoundingClientRect().height))"
    )
    assert smallest >= 7


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["report", "cell", "case", "forged"])
def test_the_matrix_and_its_pages_fit_and_need_nothing_but_themselves(
    tab: Browser, matrix: dict[str, Path], name: str, width: int
) -> None:
    tab.open(matrix[name], width=width, dark=width == WIDTHS[0])

    assert [url for url in tab.requests if not url.startswith("data:")] == [matrix[name].as_uri()]
    assert tab.complaints == []
    assert_fits(tab, width)


def test_a_cell_leads_to_its_page_and_back(tab: Browser, matrix: dict[str, Path]) -> None:
    tab.open(matrix["report"], width=1440)
    there = tab.evaluate("document.querySelector('.matrix .FAIL a').href")
    assert there == matrix["forged"].as_uri()
    tab.open(matrix["forged"], width=1440)
    assert tab.evaluate("document.querySelector('h1 a').href") == matrix["report"].as_uri()


def test_what_happened_stands_on_the_first_screen_of_a_cells_page(tab: Browser, matrix: dict[str, Path]) -> None:
    tab.open(matrix["cell"], width=1440)
    tops = tab.evaluate(
        "['.verdict', 'figure svg', '.tiles'].map(each => document.querySelector(each).getBoundingClientRect().top)"
    )
    assert all(top < 450 for top in tops)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    "selector", [".matrix .PASS .tag", ".matrix .FAIL .tag", ".matrix .FAIL span", ".matrix .missed strong", ".tag"]
)
def test_the_cells_words_stand_out_from_their_tints(
    tab: Browser, matrix: dict[str, Path], selector: str, dark: bool
) -> None:
    tab.open(matrix["report"], width=1440, dark=dark)

    assert contrast(tab, selector) >= 4.5


def contrast(tab: Browser, selector: str) -> float:
    """The contrast of an element's text with what is behind it (WCAG 2.2, relative luminance)."""
    script = """(() => {
        const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(each => {
            const c = each / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b };
        const element = document.querySelector("SELECTOR");
        let behind = element;
        while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
        const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(light).sort();
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) })()"""
    return float(tab.evaluate(script.replace("SELECTOR", selector)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("selector", [".verdict strong", ".verdict p", "h2", ".soft", "td", "th", ".tag"])
def test_text_stands_out_in_light_and_dark(tab: Browser, paths: ReportPaths, selector: str, dark: bool) -> None:
    tab.open(paths.html, width=1440, dark=dark)

    assert contrast(tab, selector) >= 4.5


def test_pictures_take_the_pages_text_colour(tab: Browser, paths: ReportPaths) -> None:
    inks = []
    for dark in (False, True):
        tab.open(paths.html, width=1440, dark=dark)
        inks.append(tab.evaluate("getComputedStyle(document.querySelector('figure svg text')).fill"))
    assert inks[0] != inks[1]


def test_the_first_screen_has_the_verdict_the_controls_and_the_comparison(tab: Browser, paths: ReportPaths) -> None:
    tab.open(paths.html, width=1440)

    tops = tab.evaluate(
        "['.verdict', 'h2', 'h2:nth-of-type(2)'].map(each => document.querySelector(each).getBoundingClientRect().top)"
    )
    assert all(top < 900 for top in tops)


def test_a_page_from_disk_can_be_pictured_whole(tab: Browser, paths: ReportPaths, tmp_path: Path) -> None:
    tab.open(paths.html, width=1440)
    picture = tmp_path / "page.png"
    picture.write_bytes(tab.picture())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 100_000
