"""``flashbench list``: what can be named."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from benchmarks import catalogue
from benchmarks.cli.options import Json
from benchmarks.fault import fault_class
from benchmarks.fault_tables import described
from flashbench.catalogue import controls, strategies


class Kind(StrEnum):
    """What ``list`` can list."""

    STRATEGIES = "strategies"
    CONTROLS = "controls"
    SCENARIOS = "scenarios"
    FAULTS = "faults"
    SUITES = "suites"


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)], as_json: Json = False
) -> None:
    """List strategies, controls, scenarios, faults or suites."""
    entries = _entries(kind)
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    if not entries:
        typer.echo(f"there are no {kind.value} yet")
    width = max((len(entry["name"]) for entry in entries), default=0) + 2
    for entry in entries:
        breaks = f" (breaks {entry['breaks']})" if "breaks" in entry else ""
        typer.echo(f"{entry['name']:<{width}}{entry['summary']}{breaks}")
        for option, words in entry.get("options", {}).items():
            typer.echo(f"{'':<{width}}{option}: {words}")


def _entries(kind: Kind) -> list[dict[str, Any]]:
    match kind:
        case Kind.STRATEGIES:
            return [{"name": each.name, "summary": each.summary} for each in strategies()]
        case Kind.CONTROLS:
            return [{"name": each.name, "summary": each.summary, "breaks": each.breaks} for each in controls()]
        case Kind.SCENARIOS:
            found = catalogue.scenarios()
        case Kind.FAULTS:
            return [
                {"name": each.name, "summary": each.summary, "options": described(fault_class(each.name).Options)}
                for each in catalogue.faults()
            ]
        case Kind.SUITES:
            found = catalogue.suites()
    return [{"name": entry.name, "summary": entry.summary} for entry in found]
