"""The same rows in two shapes: the fixed-width records of a running trial, and the Arrow columns of a sealed one.

The conversion loses nothing, so the records' SHA-256, which the worker stated, can be computed again from the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flashbench.evidence.records import ABSENT, CACHE_STATES, OUTCOMES, READ_FIELDS, TRY_FIELDS

Fields = Sequence[tuple[str, str, str]]
Records = npt.NDArray[np.void]

TRY_DTYPE = np.dtype([(name, dtype) for name, _, dtype in TRY_FIELDS])
READ_DTYPE = np.dtype([(name, dtype) for name, _, dtype in READ_FIELDS])

KEY_BYTES = 16
ORDER_ID_BYTES = TRY_DTYPE["order_id"].itemsize

_WORDS: dict[str, tuple[str, ...]] = {
    "outcome": tuple(outcome.value for outcome in OUTCOMES),
    "cache": tuple(state.value for state in CACHE_STATES),
}
_ABSENT_IF: dict[str, int] = {
    **dict.fromkeys(("returned_ns", "remaining", "seq", "version"), ABSENT),
    **dict.fromkeys(("server_us", "redis_us", "postgres_us", "age_s"), -1),
}

LEDGER_SCHEMA = pa.schema(
    [
        ("order_id", pa.string()),
        ("sku", pa.string()),
        ("quantity", pa.int64()),
        ("user_id", pa.string()),
        ("key", pa.string()),
        ("remaining", pa.int64()),
        ("seq", pa.int64()),
        ("fence", pa.int64()),
        ("created_unix_us", pa.int64()),
    ]
)
# One value of one thing at one moment; a new source of telemetry needs no new column.
TELEMETRY_SCHEMA = pa.schema(
    [
        ("at_ns", pa.int64()),  # CLOCK_MONOTONIC
        ("source", pa.string()),  # process, postgres, redis or app
        ("subject", pa.string()),  # which of them: "app worker 123", "sku-1"; empty if there is but one
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)


def table_of(records: Records, schema: pa.Schema) -> pa.Table:
    """Columns of ``records``. ValueError if a record holds a code that means nothing."""
    return pa.Table.from_arrays([_column(name, records[name]) for name in schema.names], schema=schema)


def records_of(table: pa.Table, dtype: np.dtype[np.void]) -> Records:
    """The records from which ``table`` was made, byte for byte."""
    records = np.zeros(table.num_rows, dtype)
    for name in dtype.names or ():
        _fill(records[name], name, table.column(name).combine_chunks())
    return records


def key_text(keys: npt.NDArray[np.uint8]) -> pa.Array:
    """Keys as 32 hexadecimal digits; ``keys`` has shape (n, 16)."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.empty((len(keys), KEY_BYTES, 2), np.uint8)
    text[:, :, 0] = digits[keys >> 4]
    text[:, :, 1] = digits[keys & 15]
    offsets = np.arange(len(keys) + 1, dtype=np.int64) * (2 * KEY_BYTES)
    return pa.LargeStringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(text))


def key_bytes(column: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint8]:
    """The keys of a sealed column as an array of shape (n, 16)."""
    raw = np.frombuffer(column.buffers()[1], np.uint8) if len(column) else np.empty(0, np.uint8)
    return raw[column.offset * KEY_BYTES : (column.offset + len(column)) * KEY_BYTES].reshape(-1, KEY_BYTES)


def _schema(fields: Fields) -> pa.Schema:
    return pa.schema([pa.field(name, _arrow_type(name, dtype)) for name, _, dtype in fields])


def _arrow_type(name: str, dtype: str) -> pa.DataType:
    if name in _WORDS:
        return pa.dictionary(pa.int8(), pa.string())
    if name == "key":
        return pa.binary(KEY_BYTES)
    if name == "order_id":
        return pa.string()
    if name == "replayed":
        return pa.bool_()
    return pa.from_numpy_dtype(np.dtype(dtype))


TRY_SCHEMA = _schema(TRY_FIELDS)
READ_SCHEMA = _schema(READ_FIELDS)


def _column(name: str, raw: npt.NDArray[Any]) -> pa.Array:
    values = np.ascontiguousarray(raw)
    if name in _WORDS:
        words = _WORDS[name]
        if len(values) and int(values.max()) >= len(words):
            raise ValueError(f"a record holds {name} {int(values.max())}, which means nothing")
        return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int8)), pa.array(words))
    if name == "key":
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(values), [None, pa.py_buffer(values)])
    if name == "order_id":
        return _text_column(values)
    if name == "replayed":
        return pa.array(values.astype(bool))
    if name in _ABSENT_IF:
        return pa.array(values, mask=values == _ABSENT_IF[name])
    return pa.array(values)


def _text_column(values: npt.NDArray[np.bytes_]) -> pa.Array:
    """Zero-padded ASCII of fixed width as strings, empty as null, without a Python object per row."""
    width = values.dtype.itemsize
    lengths = np.strings.str_len(values)
    filled = np.arange(width) < lengths[:, None]
    characters = values.view(np.uint8).reshape(-1, width)[filled]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    empty = np.packbits(lengths > 0, bitorder="little")
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(characters), pa.py_buffer(empty)
    )


def _fill(target: npt.NDArray[Any], name: str, column: pa.Array) -> None:
    if name in _WORDS:
        codes = {word: code for code, word in enumerate(_WORDS[name])}
        meaning = np.array([codes[word] for word in column.dictionary.to_pylist()] or [0], np.uint8)
        target[:] = meaning[column.indices.to_numpy(zero_copy_only=False)]
    elif name == "key":
        target[:] = np.ascontiguousarray(key_bytes(column)).view(f"S{KEY_BYTES}").reshape(-1)
    elif name == "order_id":
        target[:] = _padded(column, ORDER_ID_BYTES)
    elif name in _ABSENT_IF:
        target[:] = column.fill_null(_ABSENT_IF[name]).to_numpy(zero_copy_only=False)
    else:
        target[:] = column.to_numpy(zero_copy_only=False)


def _padded(column: pa.Array, width: int) -> npt.NDArray[np.bytes_]:
    """Strings as zero-padded bytes of fixed width, null as empty."""
    lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    padded = np.zeros((len(column), width), np.uint8)
    characters = b"".join(column.drop_null().cast(pa.binary()).to_pylist())
    padded[np.arange(width) < lengths[:, None]] = np.frombuffer(characters, np.uint8)
    return padded.view(f"S{width}").reshape(-1)
