"""The words of the harness, as types. Everything that is stored or printed uses these spellings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """How one try, or one attempt, ended."""

    SOLD = "sold"
    SOLD_OUT = "sold_out"  # a claim that remaining < quantity
    LIMITED = "limited"  # refused by the per-user limit
    FAILED = "failed"  # provably no effect
    UNKNOWN = "unknown"  # may or may not have happened

    @property
    def decided(self) -> bool:
        """True for an answer to the buyer's question: sold, sold out or limited."""
        return self in (Outcome.SOLD, Outcome.SOLD_OUT, Outcome.LIMITED)


class Verdict(StrEnum):
    """What the evidence says about correctness. It starts as UNPROVEN and must be earned."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNPROVEN = "UNPROVEN"


class Validity(StrEnum):
    """Whether the measurement may be believed. INVALID suppresses figures, never a FAIL."""

    VALID = "VALID"
    INVALID = "INVALID"


class Tier(StrEnum):
    """What a verdict rests on."""

    CLIENT = "A"  # client records alone
    LEDGER = "B"  # and the ledger
    STORES = "C"  # and the stores and `seq`


class ExitCode(IntEnum):
    """Exit codes of every command that judges."""

    PASS = 0
    USAGE = 2
    FAIL = 10
    UNPROVEN = 11
    INVALID = 12
    REGRESSION = 13

    @classmethod
    def of(cls, verdict: Verdict, validity: Validity) -> ExitCode:
        """Precedence FAIL > UNPROVEN > INVALID > PASS."""
        if verdict is Verdict.FAIL:
            return cls.FAIL
        if verdict is Verdict.UNPROVEN:
            return cls.UNPROVEN
        return cls.INVALID if validity is Validity.INVALID else cls.PASS


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a trial should show: ``pass``, or ``fail:I1`` for a control that breaks I1.

    >>> Expectation.parse("fail:I1").breaks
    'I1'
    >>> str(Expectation.parse("pass"))
    'pass'
    """

    breaks: str | None = None

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Read ``pass`` or ``fail:<invariant>``; ValueError for anything else."""
        if text == "pass":
            return cls()
        kind, _, invariant = text.partition(":")
        if kind == "fail" and invariant[:1] == "I" and invariant[1:].isdigit():
            return cls(invariant)
        raise ValueError(f"an expectation is 'pass' or 'fail:I<number>', not {text!r}")

    def __str__(self) -> str:
        return f"fail:{self.breaks}" if self.breaks else "pass"
