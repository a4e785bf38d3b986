"""The examples in docstrings are run: an example that is wrong is worse than none."""

from __future__ import annotations

import doctest
import importlib

import pytest

from flashbench.catalogue import ROOT

PACKAGES = ("flashbench", "target_app", "reports", "benchmarks")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if ">>> " in path.read_text()
)


def test_there_are_examples() -> None:
    assert MODULES


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
