"""What a suite file can name besides strategies and controls: scenarios, faults, and the suites themselves."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

from flashbench.catalogue import ROOT

SCENARIOS = ROOT / "locustfiles"
FAULTS = ROOT / "benchmarks" / "faults"
SUITES = ROOT / "benchmarks" / "suites"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, what it stands for, and the file behind it."""

    name: str
    summary: str
    path: Path


def scenarios(folder: Path = SCENARIOS) -> tuple[Entry, ...]:
    """The locustfiles, by name; the first line of each one's docstring says what it is."""
    return _documented(folder)


def faults(folder: Path = FAULTS) -> tuple[Entry, ...]:
    """The faults, by name."""
    return _documented(folder)


def suites(folder: Path = SUITES) -> tuple[Entry, ...]:
    """The suite files, by name."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        summary = tomllib.loads(path.read_text()).get("summary", "")
        found.append(Entry(path.stem, str(summary), path))
    return tuple(found)


def _documented(folder: Path) -> tuple[Entry, ...]:
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        found.append(Entry(path.stem, text.partition("\n")[0], path))
    return tuple(found)
