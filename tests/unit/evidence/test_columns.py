"""Records become columns and back without losing a bit, whatever a target answered."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashbench.evidence.columns import (
    READ_DTYPE,
    READ_SCHEMA,
    TRY_DTYPE,
    TRY_SCHEMA,
    key_bytes,
    key_text,
    records_of,
    table_of,
)
from flashbench.evidence.records import OUTCOMES, READ_STRUCT, TRY_STRUCT, CacheState, ReadRecord, TryRecord

WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
MICROSECONDS = st.integers(-1, 2**31 - 1)

TRIES = st.builds(
    TryRecord,
    attempt=st.integers(0, 2**64 - 1),
    try_number=st.integers(0, 255),
    user=st.integers(0, 2**64 - 1),
    sku=st.integers(0, 2**16 - 1),
    quantity=WHOLE,
    key=st.binary(min_size=16, max_size=16),
    intended_ns=WHOLE,
    invoked_ns=WHOLE,
    returned_ns=st.none() | WHOLE,
    outcome=st.sampled_from(OUTCOMES),
    status=st.integers(0, 2**16 - 1),
    order_id=st.none() | st.text(string.printable, min_size=1, max_size=60) | st.text(min_size=1, max_size=60),
    remaining=st.none() | WHOLE,
    seq=st.none() | WHOLE,
    replayed=st.booleans(),
    server_us=MICROSECONDS,
    redis_us=MICROSECONDS,
    postgres_us=MICROSECONDS,
)
READS = st.builds(
    ReadRecord,
    user=st.integers(0, 2**64 - 1),
    sku=st.integers(0, 2**16 - 1),
    intended_ns=WHOLE,
    invoked_ns=WHOLE,
    returned_ns=st.none() | WHOLE,
    status=st.integers(0, 2**16 - 1),
    cache=st.sampled_from(CacheState),
    age_s=MICROSECONDS,
    version=st.none() | WHOLE,
    remaining=st.none() | WHOLE,
    server_us=MICROSECONDS,
    redis_us=MICROSECONDS,
    postgres_us=MICROSECONDS,
)


def test_packing_and_the_table_agree_on_the_layout() -> None:
    assert (TRY_DTYPE.itemsize, READ_DTYPE.itemsize) == (TRY_STRUCT.size, READ_STRUCT.size)


@given(st.lists(TRIES, max_size=20))
@settings(max_examples=300, deadline=None)
def test_tries_survive_the_way_there_and_back(tries: list[TryRecord]) -> None:
    packed = b"".join(record.pack() for record in tries)
    table = table_of(np.frombuffer(packed, TRY_DTYPE), TRY_SCHEMA)
    assert records_of(table, TRY_DTYPE).tobytes() == packed
    assert table.column("outcome").to_pylist() == [record.outcome.value for record in tries]
    assert table.column("remaining").to_pylist() == [record.remaining for record in tries]
    assert table.column("key").to_pylist() == [record.key for record in tries]
    assert key_text(key_bytes(table.column("key").combine_chunks())).to_pylist() == [each.key.hex() for each in tries]


@given(st.lists(READS, max_size=20))
@settings(max_examples=100, deadline=None)
def test_reads_survive_the_way_there_and_back(reads: list[ReadRecord]) -> None:
    packed = b"".join(record.pack() for record in reads)
    table = table_of(np.frombuffer(packed, READ_DTYPE), READ_SCHEMA)
    assert records_of(table, READ_DTYPE).tobytes() == packed
    assert table.column("cache").to_pylist() == [record.cache.value for record in reads]


def test_a_slice_of_columns_makes_its_own_records() -> None:
    tries = [TryRecord(n, 0, n, 0, 1, bytes([n] * 16), 1, 2, 3, OUTCOMES[0], 201, f"order-{n}") for n in range(9)]
    packed = [record.pack() for record in tries]
    table = table_of(np.frombuffer(b"".join(packed), TRY_DTYPE), TRY_SCHEMA)
    assert records_of(table.slice(4, 3), TRY_DTYPE).tobytes() == b"".join(packed[4:7])


def test_a_code_that_means_nothing_is_refused() -> None:
    records = np.zeros(1, TRY_DTYPE)
    records["outcome"] = len(OUTCOMES)
    with pytest.raises(ValueError, match="which means nothing"):
        table_of(records, TRY_SCHEMA)
