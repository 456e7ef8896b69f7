"""Values of a JSON object, brought to the type of a column."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from data_prep.crawl.ids import EXACT_FLOAT

INT64 = range(-(2**63), 2**63)


class Misfit(ValueError):
    """A line is no JSON object, or a value in it does not fit its column."""


def parse(line: bytes) -> dict[str, Any]:
    """Read one line.

    Raises
    ------
    Misfit
        It is no JSON object, or no valid Unicode.
    """
    try:
        row = json.loads(line.decode("utf-8"))
        if b"\\ud" in line.lower():  # half of a surrogate pair?
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise Misfit("invalid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise Misfit(f"no JSON: {error}") from error
    if not isinstance(row, dict):
        raise Misfit("no JSON object")
    return row


def column_type(values: list[Any]) -> pa.DataType:
    """Type for a column with these values; text where they are of several kinds.

    Null where all are None. Whole numbers beyond int64 are text.
    """
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.null()
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and all(value is None or value in INT64 for value in values):
        return pa.int64()
    if float in kinds and kinds <= {int, float}:
        return pa.float64()
    if kinds == {str, list}:  # tags may be either in one file
        return column_type([value for value in values if isinstance(value, list)])
    if kinds <= {dict} or kinds <= {list}:
        try:
            kind = pa.infer_type(values)
        except (pa.ArrowException, OverflowError):
            return pa.string()
        return pa.string() if "null" in str(kind) else kind  # nothing known of what is in it
    return pa.string()


def fit(value: Any, kind: pa.DataType, name: str) -> Any:
    """Bring a value to a type: digits to a whole number, anything to text (as JSON).

    Raises
    ------
    Misfit
        The value does not fit.
    """
    if value is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if pa.types.is_int64(kind):
        if isinstance(value, str) and value.isdecimal() and len(value) < 20:
            number = int(value)
            value = number if str(number) == value else value  # 007 is no number
        value = _whole(value)
        if isinstance(value, int) and not isinstance(value, bool) and value in INT64:
            return value
        raise Misfit(_misfit(value, name, kind))
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        if isinstance(value, list) and is_tags(value):
            return value
        raise Misfit(_misfit(value, name, kind))
    try:
        pa.scalar(value, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise Misfit(_misfit(value, name, kind)) from error
    return value


def is_id(value: Any) -> bool:
    """Tell whether a value can be an id, in some column: text or a whole number."""
    return isinstance(_whole(value), int | str) and not isinstance(value, bool)


def is_tags(value: Any) -> bool:
    """Tell whether a value can be tags: text, or a list of text and nulls."""
    if isinstance(value, list):
        return all(isinstance(one, str | None) for one in value)
    return isinstance(value, str)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_FLOAT:
        return int(value)
    return value


def _misfit(value: Any, name: str, kind: pa.DataType) -> str:
    return f"column {name!r} is {kind}, and not {json.dumps(value, ensure_ascii=False)[:80]}"
