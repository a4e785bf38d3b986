"""The report as one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flashbench.vocabulary import Tier
from reports.render import words
from reports.render.palette import colour, places
from reports.render.plots import Picture
from reports.summary import Summary, headline

_RESTS_ON = {
    Tier.CLIENT: "the clients' records alone",
    Tier.LEDGER: "the clients' records and the ledger",
    Tier.STORES: "the clients' records, the ledger and both stores",
}


def page(summary: Summary, pictures: Sequence[Picture]) -> str:
    """HTML with styles and pictures inline. Whatever users named is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    place = places(row.strategy for row in summary.strategies)
    return environment.get_template("page.html.j2").render(
        summary=summary,
        headline=headline(summary),
        meaning=words.MEANING,
        rests_on=_tiers(summary),
        groups=words.comparison_groups(),
        rows=[(colour(place[row.strategy]), words.comparison_cells(summary, row)) for row in summary.strategies],
        pictures=[
            (each, Markup(each.svg)) for each in pictures
        ],  # our own drawing; its texts are escaped by matplotlib
        milliseconds=words.milliseconds,
        percent=words.percent,
        flat=_flat,
    )


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
