"""A suite file: which strategies, controls and scenarios, how often. Whatever is wrong with one is one sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import catalogue, fault_tables
from benchmarks.fault import fault_class
from flashbench.catalogue import Contender, app_settings, contender, controls, nearest, strategies
from flashbench.errors import UsageError
from flashbench.evidence.documents import PlannedFault
from flashbench.load import options

MOST_SEEDS = 1000
MOST_RUN_TIME_S = 3600
MOST_USERS = 100_000
MOST_STACKS = 16
MOST_RTT_MS = 100
EXPOSED = "exposed"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A locustfile and the shape of its load. ``parameters`` are Locust arguments of the harness's own.

    ``label`` tells it from the suite's others. ``seeds``, ``strategies`` (some of the suite's) and ``controls`` are the
    suite's where they are None. ``store_rtt_ms`` is added to every round trip from the app to its stores; None if
    nothing lies between them.
    ``app`` are settings of the app, by name, where they are not to be its defaults.
    """

    name: str
    label: str
    path: Path
    users: int = options.DEFAULT_USERS
    run_time_s: int = 5
    processes: int = 1
    faults: tuple[PlannedFault, ...] = ()
    seeds: int | None = None
    strategies: tuple[Contender, ...] | None = None
    controls: tuple[Contender, ...] | None = None
    store_rtt_ms: float | None = None
    app: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fault(self) -> str | None:
        """What its faults are called together."""
        return "+".join(each.fault for each in self.faults) or None


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as its file says. ``seeds`` is how often a strategy meets each scenario, ``control_seeds`` a control.

    ``stacks`` trials run at the same time, each on a stack of its own: quicker, and without figures.
    """

    name: str
    path: Path
    summary: str
    strategies: tuple[Contender, ...]
    controls: tuple[Contender, ...]
    seeds: int
    scenarios: tuple[Scenario, ...]
    control_seeds: int | None = None
    stacks: int = 1


def find(word: str) -> Path:
    """The file of a suite named by name or by path; UsageError with the nearest name."""
    if word.endswith(".toml") or "/" in word:
        path = Path(word).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no suite file {word!r}.")
        return path
    known = {entry.name: entry.path for entry in catalogue.suites()}
    if word not in known:
        raise UsageError(f"there is no suite {word!r}: {nearest(word, known)}; or give the path of a TOML file.")
    return known[word]


def read(path: Path) -> Suite:
    """Parse and check a suite file; UsageError names the file, the key and the nearest valid word."""
    file = _File(path)
    try:
        document = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from None
    known = ("summary", "strategies", "controls", "seeds", "control_seeds", "stacks", "defaults", "scenarios")
    file.check_keys(document, known)
    tables = document.get("scenarios")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise file.error("scenarios", "needs at least one [[scenarios]] table")
    defaults = document.get("defaults", {})
    if not isinstance(defaults, dict):
        raise file.error("defaults", "must be a [defaults] table of what every scenario has unless it says otherwise")
    scenarios = tuple(_scenario(file, {**defaults, **table}) for table in tables)
    for label in (each.label for each in scenarios):
        if sum(each.label == label for each in scenarios) > 1:
            raise file.error("label", f"two scenarios go by the name {label!r}: give one of them a `label` of its own")
    chosen = tuple(file.strategy(word) for word in file.words(document, "strategies"))
    for each in (each for scenario in scenarios for each in scenario.strategies or () if each not in chosen):
        raise file.error("strategies", f"a scenario names {each.name}, the suite does not: name it at the top as well")
    return Suite(
        name=path.stem,
        path=path,
        summary=file.text(document, "summary", ""),
        strategies=chosen,
        controls=file.controls(document, None),
        seeds=file.whole(document, "seeds", 1, 1, MOST_SEEDS),
        scenarios=scenarios,
        control_seeds=file.whole(document, "control_seeds", 1, 1, MOST_SEEDS) if "control_seeds" in document else None,
        stacks=file.whole(document, "stacks", 1, 1, MOST_STACKS),
    )


def _scenario(file: _File, table: dict[str, Any]) -> Scenario:
    of_the_run = (
        *("name", "label", "users", "run_time_s", "processes", "faults", "seeds", "controls"),
        *("strategies", "store_rtt_ms", "app"),
    )
    file.check_keys(table, (*of_the_run, *options.parameter_names()))
    known = {entry.name: entry.path for entry in catalogue.scenarios()}
    name = file.text(table, "name", "")
    if name not in known:
        raise file.error("name", f"there is no scenario {name!r}: {nearest(name, known)}")
    run_time_s = file.whole(table, "run_time_s", 5, 1, MOST_RUN_TIME_S)
    parameters = {key: value for key, value in table.items() if key not in of_the_run}
    try:
        options.frozen(parameters)
    except UsageError as error:
        raise UsageError(f"{file.path}: {error}") from None
    faults, app = _faults(file, table.get("faults", []), run_time_s), _settings(file, table.get("app", {}))
    if faults and "lease_s" in app:
        raise file.error("lease_s", "can't be set beside faults: their reports know locks with a lease of 3 s")
    of_faults = (fault for fault, _ in groupby(each.fault for each in faults))
    label = file.text(table, "label", "-".join((name, *of_faults)))
    if not re.fullmatch(r"[A-Za-z0-9_.+-]{1,60}", label):
        raise file.error("label", f"must be letters, digits and any of _ . + -, at most 60, not {label!r}")
    return Scenario(
        name=name,
        label=label,
        path=known[name],
        users=file.whole(table, "users", options.DEFAULT_USERS, 1, MOST_USERS),
        run_time_s=run_time_s,
        processes=file.whole(table, "processes", 1, 1, 64),
        faults=faults,
        seeds=file.whole(table, "seeds", 1, 1, MOST_SEEDS) if "seeds" in table else None,
        strategies=tuple(map(file.strategy, file.words(table, "strategies"))) if "strategies" in table else None,
        controls=file.controls(table, label) if "controls" in table else None,
        store_rtt_ms=file.number(table, "store_rtt_ms", 0, MOST_RTT_MS) if "store_rtt_ms" in table else None,
        app=app,
        parameters=parameters,
    )


def _settings(file: _File, table: Any) -> dict[str, str]:
    """Settings of the app as its environment takes them."""
    if not isinstance(table, dict):
        raise file.error("app", "must be a [scenarios.app] table")
    file.check_keys(table, app_settings())
    for name, value in table.items():
        if not isinstance(value, bool | int | float):
            raise file.error(name, f"must be a number, true or false, not {value!r}")
    return {name: str(value).lower() for name, value in table.items()}


def _faults(file: _File, tables: Any, run_time_s: int) -> tuple[PlannedFault, ...]:
    """The faults that a scenario meets, those that flap as often as they do."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise file.error("faults", "must be [[scenarios.faults]] tables")
    found = [planned for table in tables for planned in _fault(file, table, run_time_s)]
    problem = fault_tables.clash(found)
    if problem is not None:
        raise file.error("at_s", problem)
    return tuple(found)


def _fault(file: _File, table: dict[str, Any], run_time_s: int) -> tuple[PlannedFault, ...]:
    """One table's faults; each must begin and end while the scenario is loaded."""
    known = [entry.name for entry in catalogue.faults()]
    name = file.text(table, "fault", "")
    if name not in known:
        raise file.error("fault", f"there is no fault {name!r}: {nearest(name, known)}")
    of_the_plan, kind = ("fault", "at_s", "for_s", "times", "every_s"), fault_class(name)
    file.check_keys(table, (*of_the_plan, *kind.Options.model_fields))
    at_s, for_s = file.seconds(table, "at_s", run_time_s), file.seconds(table, "for_s", run_time_s)
    try:
        chosen = fault_tables.checked(kind.Options, {key: table[key] for key in table if key not in of_the_plan})
    except fault_tables.OptionError as error:
        raise file.error(error.key, error.sentence) from None
    times, every_s = file.whole(table, "times", 1, 1, fault_tables.MOST_TIMES), 0.0
    least_s = round(kind.lasts_s(chosen, for_s), 6)
    if times > 1:
        every_s = file.seconds(table, "every_s", run_time_s)
        if every_s < least_s:
            raise file.error("every_s", f"must be at least {least_s:g}, since {name} lasts {for_s:g} s and has to heal")
    elif "every_s" in table:
        raise file.error("every_s", "says how often a fault comes again: give `times` as well, 2 or more")
    if at_s + (times - 1) * every_s + least_s - kind.heals_in_s >= run_time_s:
        raise file.error("for_s", f"{name} would last until the load of {run_time_s} s is over")
    planned = PlannedFault(fault=name, at_s=at_s, for_s=for_s, options=chosen.model_dump())
    return fault_tables.repeated(planned, times, every_s)


@dataclass(frozen=True, slots=True)
class _File:
    """Reads single values of a suite file, and words its refusals."""

    path: Path

    def error(self, key: str, sentence: str) -> UsageError:
        return UsageError(f"{self.path}, key {key!r}: {sentence}.")

    def check_keys(self, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                raise self.error(key, f"there is no such key: {nearest(key, known)}")

    def text(self, table: Mapping[str, Any], key: str, default: str) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"must be a text, not {value!r}")
        return value

    def words(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.error(key, "must be a list of names")
        return tuple(dict.fromkeys(value))

    def whole(self, table: Mapping[str, Any], key: str, default: int, least: int, most: int) -> int:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.error(key, f"must be a whole number from {least} to {most}, not {value!r}")
        return value

    def number(self, table: Mapping[str, Any], key: str, least: float, most: float) -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.error(key, f"must be a number from {least:g} to {most:g}, not {value!r}")
        return float(value)

    def seconds(self, table: Mapping[str, Any], key: str, most: int) -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < most:
            raise self.error(key, f"must be a number of seconds between 0 and {most}, not {value!r}")
        return float(value)

    def strategy(self, word: str) -> Contender:
        return self._named("strategies", word, strategies())

    def controls(self, table: Mapping[str, Any], label: str | None) -> tuple[Contender, ...]:
        """The controls that are named; for ``"exposed"`` all that name the scenario ``label`` as exposing them."""
        known = controls()
        if table.get("controls") == EXPOSED and label is not None:
            return tuple(each for each in known if each.exposed_by == label)
        return tuple(self._named("controls", word, known) for word in self.words(table, "controls"))

    def _named(self, key: str, word: str, known: Iterable[Contender]) -> Contender:
        if ".py" in word:
            return contender(word, self.path.parent)
        by_name = {each.name: each for each in known}
        if word not in by_name:
            raise self.error(key, f"there is no {word!r}: {nearest(word, by_name)}")
        return by_name[word]
