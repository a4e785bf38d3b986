"""The harness's ground floor: vocabulary, evidence, targets, services, the trial, and the load."""

from flashbench.errors import UsageError
from flashbench.vocabulary import (
    ExitCode,
    Expectation,
    Outcome,
    Tier,
    Validity,
    Verdict,
)

__all__ = [
    "ExitCode",
    "Expectation",
    "Outcome",
    "Tier",
    "UsageError",
    "Validity",
    "Verdict",
]
