"""What stands in a suite's fault tables: options as the fault itself has them, flapping, and what may overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

from pydantic import ValidationError

from benchmarks.fault import FaultOptions, bar_each_other, fault_class, hides, injection
from flashbench.catalogue import nearest
from flashbench.evidence.documents import PlannedFault

MOST_TIMES = 100
_SEEN_S = 0.5  # within which a fault of the network shows that it took effect, if anything does


class OptionError(Exception):
    """An option that a fault does not take so: its key, and a sentence."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key, self.sentence = key, sentence


def checked(options: type[FaultOptions], given: dict[str, Any]) -> FaultOptions:
    """Options as a fault takes them, with what has a default; OptionError about the first that it does not take."""
    try:
        return options.model_validate(given)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        schema = options.model_json_schema()["properties"][key]
        raise OptionError(key, _sentence(key, schema, given)) from None


def described(options: type[FaultOptions]) -> dict[str, str]:
    """What a fault can be told, by key: what it may be, and what it is unless it is said."""
    schemas = options.model_json_schema()["properties"]
    return {key: f"{_allowed(schema)}{_otherwise(schema)}" for key, schema in schemas.items()}


def repeated(planned: PlannedFault, times: int, every_s: float) -> tuple[PlannedFault, ...]:
    """The same fault several times: a new injection every so many seconds."""
    return tuple(
        planned.model_copy(update={"at_s": round(planned.at_s + number * every_s, 6)}) for number in range(times)
    )


def clash(planned: Sequence[PlannedFault]) -> str | None:
    """Why these can't all be injected, or not all be seen to take effect; None if they can."""
    for first, second in combinations(sorted(planned, key=lambda each: each.at_s), 2):
        again_s = _over_s(first)
        if second.at_s < again_s and bar_each_other(injection(first), injection(second)):
            return (
                f"{second.fault} at {second.at_s:g} s would meet {_span(first)}: let it begin at {again_s:g} s or later"
            )
    for one, other in permutations(planned, 2):
        until_s = _over_s(one)
        within = one.at_s - _SEEN_S < other.at_s and other.at_s + other.for_s < until_s
        if within and not fault_class(one.fault).momentary and hides(injection(one), injection(other)):
            return (
                f"nothing could be seen of {other.fault} at {other.at_s:g} s within {_span(one)}:"
                f" let it last until {until_s:g} s or longer, or begin earlier"
            )
    return None


def _over_s(planned: PlannedFault) -> float:
    """When all may be as before, at the earliest."""
    kind, options = injection(planned)
    return round(planned.at_s + kind.lasts_s(options, planned.for_s), 6)


def _span(planned: PlannedFault) -> str:
    return f"{planned.fault}, which lasts from {planned.at_s:g} s to {planned.at_s + planned.for_s:g} s"


def _sentence(key: str, schema: dict[str, Any], given: dict[str, Any]) -> str:
    if key not in given:
        return f"is missing: it must be {_allowed(schema)}"
    value = given[key]
    if "enum" in schema and isinstance(value, str):
        return f"there is no {key} {value!r}: {nearest(value, schema['enum'])}"
    return f"must be {_allowed(schema)}, not {value!r}"


def _otherwise(schema: dict[str, Any]) -> str:
    """What an option is where it is left out."""
    if "default" not in schema:
        return "; has to be said"
    default = schema["default"]
    return f"; {default:.10g} if left out" if isinstance(default, int | float) else f"; {default!r} if left out"


def _allowed(schema: dict[str, Any]) -> str:
    """What an option may be, in words."""
    if "enum" in schema:
        return " or ".join(repr(word) for word in schema["enum"])
    if schema["type"] == "string":
        return f"a text of at most {schema['maxLength']} characters"
    whole = "whole " if schema["type"] == "integer" else ""
    return f"a {whole}number from {schema['minimum']:.10g} to {schema['maximum']:.10g}"
