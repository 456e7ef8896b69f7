"""Kinds of Arrow types, and columns brought into a kind that can be worked with."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

ORDERED: tuple[Any, ...] = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_temporal,
    pa.types.is_boolean, pa.types.is_null,
)  # fmt: skip


def has_order(kind: pa.DataType) -> bool:
    """Tell whether rows can be sorted by values of a type."""
    return is_text(kind) or any(test(kind) for test in ORDERED)


def plain(kind: pa.DataType) -> pa.DataType:
    """Give the type without dictionary or view, of which Arrow cannot take single rows."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if is_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    return kind


def taken(column: pa.Array) -> pa.Array:
    """Give the column in a type of which Arrow can take single rows."""
    if pa.types.is_dictionary(column.type):
        words = column.dictionary.cast(plain(column.type))
        return pa.DictionaryArray.from_arrays(column.indices, words).dictionary_decode()
    return column.cast(plain(column.type)) if _has_view(column.type) else column


def _has_view(kind: pa.DataType) -> bool:
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return True
    return any(_has_view(kind.field(i).type) for i in range(kind.num_fields))


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
