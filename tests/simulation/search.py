"""Many seeds: look for a wrong one, or for the first that catches a missing rule.

``python -m tests.simulation.search`` prints, for every rule, the first seed that catches its absence and by what.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tests.simulation.crowd import run_seed, story_of
from tests.simulation.findings import Finding
from tests.simulation.protocols import ProtocolName
from tests.simulation.rules import Part, Rule, rules_of

SEEDS = 20_000

PARTS = {ProtocolName.REDIS_LUA: Part.LUA, ProtocolName.REDIS_LOCK: Part.LOCK}


def stories_of_wrong_seeds(protocol: ProtocolName, seeds: Iterable[int], *, at_most: int = 1) -> list[str]:
    """The readable stories of the first seeds with a finding, in the protocol with all its rules."""
    stories: list[str] = []
    for seed in seeds:
        if run_seed(protocol, seed):
            stories.append(story_of(protocol, seed))
            if len(stories) == at_most:
                break
    return stories


def first_caught(protocol: ProtocolName, rule: Rule, seeds: Iterable[int]) -> tuple[int, dict[Finding, str]] | None:
    """The first seed that finds something wrong in the protocol without ``rule``; None if none does."""
    broken = frozenset({rule})
    for seed in seeds:
        findings = run_seed(protocol, seed, broken)
        if findings:
            return seed, findings
    return None


def rules_under_test(protocol: ProtocolName) -> list[Rule]:
    """The rules of a protocol, those of the guarded transaction included."""
    return list(rules_of(Part.GUARD, PARTS[protocol]))


def main() -> None:
    """Print the table of rules and what catches them."""
    for protocol in ProtocolName:
        for rule in rules_under_test(protocol):
            caught = first_caught(protocol, rule, range(SEEDS))
            by = "NOT CAUGHT" if caught is None else f"{caught[0]:>5}  {', '.join(kind.name for kind in caught[1])}"
            sys.stdout.write(f"{protocol.value:<11} {rule.name:<30} {by}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
