"""Ids as int64 or text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data_prep.crawl.column_types import text

EXACT_FLOAT = 2**53  # whole numbers below it are exact as float64
REMEDY = "write ids as int64 or as text"


def as_ids(column: pa.Array, kind: pa.DataType, what: str) -> tuple[pa.Array, dict[int, str]]:
    """Bring ids to the type `kind`, int64 or string.

    Parameters
    ----------
    column : pyarrow.Array
        Of integers, floats, text or nulls.
    kind : pyarrow.DataType
    what : str
        For the reasons: "image id".

    Returns
    -------
    ids : pyarrow.Array
        Null where there is none: NaN, too, as pandas writes it.
    reasons : dict of int to str
        What is wrong with the id of a row, where it is of no use; `ids` is null there.
    """
    if pa.types.is_floating(column.type):
        return _from_floats(column, what)
    if pa.types.is_uint64(column.type):
        return _from_uint64(column, what)
    return (text(column) if pa.types.is_string(kind) else column.cast(kind)), {}


def _from_floats(column: pa.Array, what: str) -> tuple[pa.Array, dict[int, str]]:
    numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    digits = np.finfo(column.type.to_pandas_dtype()).nmant + 1
    missing = np.isnan(numbers)
    broken = ~missing & (~np.isfinite(numbers) | (np.floor(numbers) != numbers))
    rounded = ~missing & ~broken & (np.abs(numbers) >= 2.0**digits)
    reasons = {int(i): f"{what} {numbers[i]} is no whole number" for i in np.flatnonzero(broken)}
    for i in np.flatnonzero(rounded):
        why = f"may be rounded, as {column.type} holds {digits} binary digits"
        reasons[int(i)] = f"{what} {numbers[i]:.0f} {why}; {REMEDY}"
    unusable = missing | broken | rounded
    return pa.array(np.where(unusable, 0, numbers).astype(np.int64), mask=unusable), reasons


def _from_uint64(column: pa.Array, what: str) -> tuple[pa.Array, dict[int, str]]:
    numbers = column.fill_null(0).to_numpy()
    large = numbers > np.iinfo(np.int64).max
    reasons = {
        int(i): f"{what} {numbers[i]} exceeds int64; write ids as text"
        for i in np.flatnonzero(large)
    }
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return pa.array(np.where(large, 0, numbers).astype(np.int64), mask=large | missing), reasons
