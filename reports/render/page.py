"""The report as one page that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flashbench.vocabulary import Tier
from reports.matrix import FaultCase, Matrix
from reports.outages.course import PATIENCE_S
from reports.places import places
from reports.protections import protections
from reports.render import matrix_words, outage_tables, tables, wiring_tables, words
from reports.render.drawing import Gallery, Picture
from reports.render.kills import false_alarms, kill_table
from reports.render.palette import colour
from reports.render.stories import diagram
from reports.round_trips import ranking_words, round_trips
from reports.summary import Summary, headline

_RESTS_ON = {
    Tier.CLIENT: "the clients' records alone",
    Tier.LEDGER: "the clients' records and the ledger",
    Tier.STORES: "the clients' records, the ledger and both stores",
}


def page(summary: Summary, found: Matrix, gallery: Gallery) -> str:
    """HTML with styles and pictures inline."""
    place = places(summary.strategy_names)
    told = tables.worth_telling(summary)
    return fill(
        "page.html.j2",
        summary=summary,
        headline=headline(summary),
        targets=matrix_words.targets(found),
        meaning=words.MEANING,
        rests_on=_tiers(summary),
        kills=kill_table(summary.verdict),
        false_alarms=false_alarms(summary.verdict),
        at_once=any(each.trial is not None and not each.trial.alone for each in summary.trials),
        told=told,
        alike=len(summary.trials) - len(told),
        tint=lambda strategy: colour(place[strategy]),
        comparisons=[(case, tables.comparison(summary, case)) for case in summary.cases],
        unplanned=tables.unplanned_remarks(summary),
        matrix=found,
        matrix_words=matrix_words,
        matrix_remarks=matrix_words.remarks(found),
        outages=[] if found.is_large else [_outage(summary, row, gallery.outages.get(row.case)) for row in found.rows],
        protections=[
            (each, wiring_tables.protection_table(each), wiring_tables.protection_remarks(each))
            for each in protections(summary)
        ],
        distances=[
            (wiring_tables.round_trip_table(each), ranking_words(each), *_drawn(picture))
            for each, picture in zip(round_trips(summary), gallery.distances, strict=True)
        ],
        sales=[(case, tables.sale(summary, case)) for case in tables.sold_out_cases(summary)],
        machines=[(case, table) for case in summary.cases if (table := tables.machine(summary, case)).rows],
        cards=tables.carded(summary),
        measured_with=tables.measured_with(summary),
        curves=[_drawn(each) for each in gallery.latency],
        courses=[_drawn(each) for each in gallery.courses],
        milliseconds=words.milliseconds,
        percent=words.percent,
        flat=_flat,
        diagram=diagram,
    )


def fill(template: str, **values: Any) -> str:
    """A page from a template of this folder, with the common style. Whatever users named is escaped."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["patience"] = f"{PATIENCE_S:g} s"
    return environment.get_template(template).render(style=Markup((here / "style.css").read_text()), **values)


def _drawn(picture: Picture | None) -> tuple[Picture | None, Markup]:
    """With the drawing itself, which is our own; texts in it were escaped when it was drawn."""
    return picture, Markup(picture.svg if picture is not None else "")


def _outage(
    summary: Summary, row: FaultCase, picture: Picture | None
) -> tuple[FaultCase, list[tables.Table], list[str], Picture | None, Markup]:
    """A case's tables, what limits them, and its timeline."""
    shown = [outage_tables.buyers(summary, row.case), outage_tables.stores(summary, row.case)]
    return row, shown, outage_tables.outage_remarks(summary, row.case), *_drawn(picture)


def _tiers(summary: Summary) -> str:
    own = [trial for trial in summary.verdict.trials if not trial.control] or summary.verdict.trials
    tiers = {trial.tier for trial in own}
    return "; ".join(f"tier {tier.value}: {_RESTS_ON[tier]}" for tier in sorted(tiers))


def _flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as a list of names and texts."""
    found: list[tuple[str, str]] = []
    for name, value in facts.items():
        shown = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict):
            found += _flat(value, f"{shown}, ")
        else:
            found.append((shown, str(value)))
    return found
