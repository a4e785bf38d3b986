"""What can be named on a command line: strategies of the app, controls, or a file and class of one's own.

Everything is found by folder and read as text or TOML; nothing is imported, so a broken plug-in cannot hurt here.
"""

from __future__ import annotations

import ast
import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flashbench.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = ROOT / "target_app" / "strategies"
APP_SETTINGS = ROOT / "target_app" / "settings.py"
CONTROLS = ROOT / "benchmarks" / "controls"
_OF_THE_STACK = frozenset({"database_url", "redis_url", "admin_token", "strategies"})  # never a suite's business


@dataclass(frozen=True, slots=True)
class Service:
    """Somebody else's service: where it is, how it is spoken to, and the database that its SQL is for."""

    host: str
    target_file: Path
    idempotent: bool
    database_url: str | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to deduct stock that a trial can be run with.

    ``name`` is what the app registers it under, once known; ``plugin`` is ``/absolute/path.py:ClassName`` for what
    the app has to be told of at start, None for what it ships with; ``breaks`` is the invariant a control breaks, and
    ``exposed_by`` the scenario, by its label, in which that shows: of the suite ``controls``, or of ``outage-controls``
    if it takes a fault. ``service`` is what is hammered if it is not the reference app.
    """

    name: str
    summary: str
    plugin: str | None = None
    breaks: str | None = None
    exposed_by: str | None = None
    service: Service | None = None

    @property
    def control(self) -> bool:
        return self.breaks is not None


def strategies(folder: Path = STRATEGIES) -> tuple[Contender, ...]:
    """The strategies that the app ships with, by name."""
    return tuple(
        Contender(source.parent.name, _class_attribute(source, "summary"))
        for source in sorted(folder.glob("*/strategy.py"))
    )


def controls(folder: Path = CONTROLS) -> tuple[Contender, ...]:
    """The strategies that are broken on purpose, by name."""
    found = []
    for card in sorted(folder.glob("*/control.toml")):
        facts = tomllib.loads(card.read_text())
        plugin = f"{card.parent / 'strategy.py'}:{facts['class']}"
        found.append(Contender(card.parent.name, facts["summary"], plugin, facts["breaks"], facts["exposed_by"]))
    return tuple(found)


def app_settings(source: Path = APP_SETTINGS) -> tuple[str, ...]:
    """The settings of the app that a suite may change, by name, as their source has them."""
    (settings,) = (
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    names = (
        each.target.id
        for each in settings.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    )
    return tuple(name for name in names if name not in _OF_THE_STACK)


def card(contender: Contender) -> dict[str, str]:
    """What the CARD.md beside a contender's source says: its paragraphs in plain words, by heading; none without one.

    A paragraph counts if it opens with its heading, bold and with a full stop: ``**What it gives up.** …``.
    """
    folder = Path(contender.plugin.rpartition(":")[0]).parent if contender.plugin else STRATEGIES / contender.name
    try:
        text = (folder / "CARD.md").read_text()
    except (OSError, UnicodeDecodeError):
        return {}
    found = re.findall(r"^\*\*([^*\n]+)\.\*\*[ \n](.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return {heading: " ".join(words.replace("`", "").split()) for heading, words in found}


def contender(word: str, base: Path | None = None) -> Contender:
    """The contender that ``word`` means: a strategy's or a control's name, or ``path/to/file.py:ClassName``.

    A relative path is taken from ``base`` (default: the working directory). UsageError names the nearest word.
    """
    if ".py" in word or "/" in word:
        return _of_a_file(word, base or Path.cwd())
    known = {each.name: each for each in (*strategies(), *controls())}
    if word not in known:
        raise UsageError(f"there is no strategy {word!r}: {nearest(word, known)}; or give path/to/file.py:ClassName.")
    return known[word]


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses ``word``: what was probably meant, or all there is."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"the nearest is {close[0]!r}"
    return f"there is {', '.join(words)}" if words else "there are none yet"


def _of_a_file(word: str, base: Path) -> Contender:
    path_text, separator, class_name = word.rpartition(":")
    if not separator or not class_name.isidentifier():
        raise UsageError(f"{word!r} names no class: write it as path/to/file.py:ClassName.")
    path = (base / Path(path_text).expanduser()).resolve()
    if not path.is_file():
        raise UsageError(f"there is no strategy file {path_text!r} (looked for {path}).")
    name = _class_attribute(path, "name", class_name)
    return Contender(name or class_name, _class_attribute(path, "summary", class_name), f"{path}:{class_name}")


def _class_attribute(source: Path, attribute: str, class_name: str | None = None) -> str:
    """A class's string attribute, read from the source; empty if it can't be told without running it."""
    try:
        tree = ast.parse(source.read_text())
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return ""  # the app says at start what is wrong with the file
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or (class_name is not None and node.name != class_name):
            continue
        for statement in node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)))
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
                ) if name == attribute:
                    return text
    return ""
