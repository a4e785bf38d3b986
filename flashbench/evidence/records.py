"""The fixed-width records that load workers append while a trial runs.

Little-endian, packed, without header: a file is a whole number of records, so a torn tail shows as a remainder.
Stamps are CLOCK_MONOTONIC nanoseconds, which all processes of one machine share. ``ABSENT`` marks a missing value.
A worker's buyers are its own, so ``(worker, attempt)`` names an attempt and ``key`` is unique to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from flashbench.vocabulary import Outcome

ABSENT = -(2**63)

OUTCOMES: tuple[Outcome, ...] = tuple(Outcome)
OUTCOME_CODE: dict[Outcome, int] = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class CacheState(StrEnum):
    """The value of ``X-Cache`` on a product read; OTHER where it is missing or unheard of."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    NEGATIVE = "negative"
    BYPASS = "bypass"
    OTHER = "other"


CACHE_STATES: tuple[CacheState, ...] = tuple(CacheState)
CACHE_STATE_CODE: dict[CacheState, int] = {state: code for code, state in enumerate(CACHE_STATES)}

# (field, struct code, numpy dtype). The one list from which packing, unpacking and sealing are derived.
TRY_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("attempt", "Q", "<u8"),
    ("try_number", "B", "u1"),  # 0 is the first; twins are 0 and 1
    ("user", "Q", "<u8"),  # sent to the target as f"u{user}"
    ("sku", "H", "<u2"),  # index into trial.json's sale.items
    ("quantity", "q", "<i8"),
    ("key", "16s", "S16"),  # sent as 32 hexadecimal digits
    ("intended_ns", "q", "<i8"),  # when the schedule wanted it sent
    ("invoked_ns", "q", "<i8"),  # before the first byte was sent
    ("returned_ns", "q", "<i8"),  # after the whole body; ABSENT if it never came
    ("outcome", "B", "u1"),  # index into OUTCOMES
    ("status", "H", "<u2"),  # HTTP status, 0 without an answer
    ("order_id", "40s", "S40"),  # empty if none; ASCII, a longer one is cut
    ("remaining", "q", "<i8"),
    ("seq", "q", "<i8"),
    ("replayed", "B", "u1"),
    ("server_us", "i", "<i4"),  # Server-Timing app, -1 if not stated
    ("redis_us", "i", "<i4"),
    ("postgres_us", "i", "<i4"),
)
READ_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("user", "Q", "<u8"),
    ("sku", "H", "<u2"),
    ("intended_ns", "q", "<i8"),
    ("invoked_ns", "q", "<i8"),
    ("returned_ns", "q", "<i8"),
    ("status", "H", "<u2"),
    ("cache", "B", "u1"),  # index into CACHE_STATES
    ("age_s", "i", "<i4"),  # the Age header, -1 if not stated
    ("version", "q", "<i8"),
    ("remaining", "q", "<i8"),
    ("server_us", "i", "<i4"),
    ("redis_us", "i", "<i4"),
    ("postgres_us", "i", "<i4"),
)

TRY_STRUCT = struct.Struct("<" + "".join(code for _, code, _ in TRY_FIELDS))
READ_STRUCT = struct.Struct("<" + "".join(code for _, code, _ in READ_FIELDS))


@dataclass(slots=True)  # not frozen: that costs a microsecond a try
class TryRecord:
    """One HTTP request of one attempt. None where the answer said nothing."""

    attempt: int
    try_number: int
    user: int
    sku: int
    quantity: int
    key: bytes
    intended_ns: int
    invoked_ns: int
    returned_ns: int | None
    outcome: Outcome
    status: int = 0
    order_id: str | None = None
    remaining: int | None = None
    seq: int | None = None
    replayed: bool = False
    server_us: int = -1
    redis_us: int = -1
    postgres_us: int = -1

    def pack(self) -> bytes:
        """The record's bytes, ``TRY_STRUCT.size`` of them."""
        return TRY_STRUCT.pack(
            self.attempt,
            self.try_number,
            self.user,
            self.sku,
            self.quantity,
            self.key,
            self.intended_ns,
            self.invoked_ns,
            ABSENT if self.returned_ns is None else self.returned_ns,
            OUTCOME_CODE[self.outcome],
            self.status,
            (self.order_id or "").encode("ascii", "backslashreplace"),  # any cut of it is still text
            ABSENT if self.remaining is None else self.remaining,
            ABSENT if self.seq is None else self.seq,
            self.replayed,
            self.server_us,
            self.redis_us,
            self.postgres_us,
        )


@dataclass(slots=True)  # not frozen: that costs a microsecond a try
class ReadRecord:
    """One cached product read."""

    user: int
    sku: int
    intended_ns: int
    invoked_ns: int
    returned_ns: int | None
    status: int = 0
    cache: CacheState = CacheState.OTHER
    age_s: int = -1
    version: int | None = None
    remaining: int | None = None
    server_us: int = -1
    redis_us: int = -1
    postgres_us: int = -1

    def pack(self) -> bytes:
        """The record's bytes, ``READ_STRUCT.size`` of them."""
        return READ_STRUCT.pack(
            self.user,
            self.sku,
            self.intended_ns,
            self.invoked_ns,
            ABSENT if self.returned_ns is None else self.returned_ns,
            self.status,
            CACHE_STATE_CODE[self.cache],
            self.age_s,
            ABSENT if self.version is None else self.version,
            ABSENT if self.remaining is None else self.remaining,
            self.server_us,
            self.redis_us,
            self.postgres_us,
        )
