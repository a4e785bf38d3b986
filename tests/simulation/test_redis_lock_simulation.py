"""Losing these tests, nobody would know that `redis_lock` answers rightly when a store or a worker misbehaves."""

from __future__ import annotations

import pytest

from tests.simulation.protocols import ProtocolName
from tests.simulation.rules import Rule
from tests.simulation.search import SEEDS, first_caught, rules_under_test, stories_of_wrong_seeds

PROTOCOL = ProtocolName.REDIS_LOCK


def test_no_seed_is_wrong() -> None:
    stories = stories_of_wrong_seeds(PROTOCOL, range(SEEDS))
    assert not stories, stories[0]


@pytest.mark.parametrize("rule", rules_under_test(PROTOCOL), ids=lambda rule: rule.name)
def test_a_missing_rule_is_caught(rule: Rule) -> None:
    assert first_caught(PROTOCOL, rule, range(SEEDS)) is not None, rule.__doc__
