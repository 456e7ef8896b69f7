"""Kinds of Arrow types, and columns brought into a kind that can be worked with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ORDERED: tuple[Any, ...] = (  # what Arrow both compares and sorts
    pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_decimal128,
    pa.types.is_decimal256, pa.types.is_date, pa.types.is_time, pa.types.is_timestamp,
    pa.types.is_duration, pa.types.is_boolean, pa.types.is_null,
)  # fmt: skip


def has_order(kind: pa.DataType) -> bool:
    """Tell whether rows can be sorted by values of a type."""
    return is_text(kind) or any(test(kind) for test in ORDERED)


def plain(kind: pa.DataType) -> pa.DataType:
    """Give the type without dictionary, view or runs, of which Arrow cannot take single rows.

    Views become large strings, as there may be more than 2 GB of them.
    """
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if is_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    return kind


def has_rows(kind: pa.DataType) -> bool:
    """Tell whether Arrow can take single rows of a plain type, and make nulls of it."""
    try:
        pa.array([None], kind).take(pa.array([0]))
    except pa.ArrowNotImplementedError:
        return False
    return True


def taken(column: pa.Array) -> pa.Array:
    """Give the column in its plain type.

    Raises
    ------
    pyarrow.ArrowIndexError
        A code of a dictionary stands for no word.
    """
    kind = column.type
    if kind == plain(kind):
        return column
    if pa.types.is_dictionary(kind):
        return taken(column.dictionary).take(column.indices)
    if pa.types.is_run_end_encoded(kind):
        rows = column.offset + np.arange(len(column))
        runs = np.searchsorted(column.run_ends.to_numpy(), rows, side="right")
        return taken(column.values).take(pa.array(runs))
    if is_list(kind):
        return lists(column, taken(column.flatten()))
    if pa.types.is_map(kind):
        offsets = column.offsets.to_numpy()
        entries = slice(offsets[0], offsets[-1])
        keys, items = taken(column.keys[entries]), taken(column.items[entries])
        places = pa.array(offsets - offsets[0])
        return pa.MapArray.from_arrays(places, keys, items, mask=column.is_null())
    if pa.types.is_struct(kind):
        fields = [taken(column.field(i)) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(plain(kind)), mask=column.is_null())
    return column.cast(plain(kind))


def lists(column: pa.Array, values: pa.Array) -> pa.Array:
    """Give the lists of a column of any kind of list, with `values` for its elements.

    Array.cast would lose elements of a list_view (pyarrow 26).
    """
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=column.is_null())


def text(column: pa.Array) -> pa.Array:
    """Give text of any type as string."""
    if pa.types.is_large_string(column.type) and column.offset:
        # Arrow refuses what lies beyond 2 GB in a buffer, however little it is.
        column = column.take(pa.array(np.arange(len(column))))
    return column.cast(pa.string())


def is_text(kind: pa.DataType) -> bool:
    """Tell whether values are strings, in a dictionary or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests: list[Any] = [
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    ]  # fmt: skip
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Tell whether values are lists of any kind."""
    tests: list[Any] = [
        pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list,
        pa.types.is_list_view, pa.types.is_large_list_view,
    ]  # fmt: skip
    return any(test(kind) for test in tests)
