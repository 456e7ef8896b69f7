"""Columns as they are written, brought to the columns of a crawl."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.crawl.column_types import has_order, is_list, is_text, plain, taken
from data_prep.crawl.source import BATCH_ROWS, TAGS, Batch, Source, unreadable
from data_prep.errors import UserError

TAKEN = ("image_id", "user_id", "tags", "codes", "reason", "detail")  # columns of the output
EXACT_FLOAT = 2**53  # whole numbers below it are exact as float64
DEFAULT_USER = "user_id"


def crawl_schema(written: pa.Schema, source: Source, file: str) -> pa.Schema:
    """Columns that a file with the schema `written` gives to the crawl.

    Raises
    ------
    UserError
        A column is missing, of an unusable type, or bears the name of another one.
    """
    names = [name for name in written.names if name]  # pandas writes its index without a name
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise UserError(f"{file}: two columns are named {doubled!r}; rename one of them")
    id_type = _id_type(written, source.image_id_key, source.image_id, names, file)
    fields = [pa.field("image_id", id_type)]
    user = source.user_id
    if user is not None and (user in names or user != DEFAULT_USER):
        fields.append(pa.field("user_id", _id_type(written, "data.user_id", user, names, file)))
    kind = _column(written, source.tags_key, source.tags, names, file)
    words = kind.value_type if is_list(kind) else kind
    if not (is_text(words) or pa.types.is_null(words)):
        remedy = f"name a column of words, or of lists of words, in {source.tags_key}"
        raise UserError(f"{file}: column {source.tags!r} is {kind}; {remedy}")
    fields.append(pa.field("tags", TAGS))
    carried = [pa.field(n, plain(written.field(n).type)) for n in _carried(source, names)]
    return pa.schema(fields + carried)


def unite(schema: pa.Schema | None, other: pa.Schema, file: str) -> pa.Schema:
    """Join the columns of a further file; int32 and int64 give int64, null and string a string."""
    if schema is None:
        return other
    try:
        return pa.unify_schemas([schema, other], promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).removeprefix("Unable to merge: ")
        remedy = "write the files alike, or leave the column out with data.carry=[…]"
        raise UserError(f"{file}: not as in the files before it: {reason}; {remedy}") from error


def settle(schema: pa.Schema, source: Source) -> pa.Schema:
    """Order the columns, give those that are null everywhere a type, check what was asked for."""
    for name in _asked(source):
        if name not in schema.names:
            there = ", ".join(schema.names)
            raise UserError(f"data.carry, data.order_by: no column {name!r}; there are {there}")
    if source.order_by in schema.names:
        kind = schema.field(source.order_by).type
        if not has_order(kind):
            remedy = "name a column of numbers, text or times"
            raise UserError(f"data.order_by={source.order_by}: the column is {kind}; {remedy}")
    first = [name for name in ("image_id", "user_id", "tags") if name in schema.names]
    fields = []
    for name in first + [name for name in schema.names if name not in first]:
        kind = schema.field(name).type
        if pa.types.is_null(kind):  # nothing but nulls, so any type does
            kind = pa.int64() if name in ("image_id", "user_id") else pa.string()
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


def conform(
    batch: pa.RecordBatch, schema: pa.Schema, source: Source, file: str, numbers: np.ndarray
) -> Batch:
    """Bring rows as they are written to the schema of the crawl.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        As read; its text is checked to be UTF-8.
    schema : pyarrow.Schema
        Of the crawl, from `crawl_schema`.
    source : Source
    file : str
    numbers : int64 array (rows,)
        The number of each row in the file.

    Raises
    ------
    UserError
        A number in an id column is not whole or too large.
    """
    asked = {"image_id": source.image_id, "user_id": source.user_id, "tags": source.tags}
    names = [asked.get(name, name) for name in schema.names]
    present = [name for name in names if name in batch.schema.names]
    batch = pa.record_batch([taken(batch.column(name)) for name in present], names=present)
    batch, bad, why = _checked(batch)
    refused = bad | batch.column(source.image_id).is_null().to_numpy(zero_copy_only=False)
    reasons = [why if is_bad else "no image id" for is_bad in bad[refused]]
    dropped = unreadable(file, numbers[refused].tolist(), reasons, [None] * len(reasons))
    if reasons:
        batch = batch.filter(pa.array(~refused))
    columns = [
        _converted(batch, name, field, source, file)
        for name, field in zip(names, schema, strict=True)
    ]
    return Batch(pa.record_batch(columns, schema=schema), dropped)


def conform_table(
    table: pa.Table, schema: pa.Schema, source: Source, file: str, numbers: np.ndarray
) -> Iterator[Batch]:
    """Bring a block of rows to the schema, in batches; see `conform`."""
    done = 0
    for batch in table.combine_chunks().to_batches(BATCH_ROWS):
        yield conform(batch, schema, source, file, numbers[done : done + len(batch)])
        done += len(batch)


def _converted(
    batch: pa.RecordBatch, name: str, field: pa.Field, source: Source, file: str
) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    column = batch.column(name)
    if field.name == "tags":
        return _tags(column, source.tags_delimiter)
    if pa.types.is_floating(column.type) and field.name in ("image_id", "user_id"):
        column = _whole(column, name, file)
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        remedy = "write the column alike in all files, as text if need be"
        raise UserError(f"{file}: column {name!r}: {error}; {remedy}") from error


def _tags(column: pa.Array, delimiter: str) -> pa.Array:
    """Give lists of dictionary-encoded words."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TAGS)
    if not is_list(column.type):
        column = pc.split_pattern(column.cast(pa.string()), delimiter)
    if column.type == TAGS:
        return column
    # Not Array.cast: it loses elements of a list_view (pyarrow 26).
    words = column.flatten().cast(pa.string()).dictionary_encode()
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, words, mask=column.is_null())


def _whole(column: pa.Array, name: str, file: str) -> pa.Array:
    """Turn floats that hold whole numbers into int64; NaN is null, as pandas writes it."""
    numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    gone = np.isnan(numbers)
    # inf is no whole number either.
    bad = ~gone & ((np.abs(numbers) >= EXACT_FLOAT) | (np.floor(numbers) != numbers))
    if bad.any():
        remedy = "write the ids as whole numbers or as text"
        raise UserError(f"{file}: column {name!r} holds the float {numbers[bad][0]}; {remedy}")
    return pa.array(np.where(gone, 0, numbers).astype(np.int64), mask=gone)


def _checked(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, np.ndarray, str]:
    """Mark the rows (rows,) with text that is not UTF-8, which neither Parquet nor CSV rules out.

    The rows come back so that the others can be used, with the reason for the marks.
    """
    bad = np.zeros(len(batch), dtype=bool)
    if _is_valid(batch):
        return batch, bad, ""
    try:
        # A word of a dictionary spoils the rows that bear it, not the whole batch.
        plain = [_without_dictionary(column) for column in batch.columns]
    except pa.ArrowIndexError:  # flipped bits, and no telling which other codes they changed
        return batch, ~bad, "damaged dictionary codes"
    batch = pa.record_batch(plain, names=batch.schema.names)
    spans = [(0, len(batch))]
    while spans:
        start, end = spans.pop()
        # Not a slice: of lists it would check all elements.
        if start == end or _is_valid(batch.take(pa.array(np.arange(start, end)))):
            continue
        if end - start == 1:
            bad[start] = True
        else:
            middle = (start + end) // 2
            spans += [(start, middle), (middle, end)]
    return batch, bad, "invalid UTF-8"


def _is_valid(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _without_dictionary(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if is_list(column.type) and pa.types.is_dictionary(column.type.value_type):
        return column.cast(pa.list_(column.type.value_type.value_type))
    return column


def _id_type(written: pa.Schema, key: str, name: str, names: list[str], file: str) -> pa.DataType:
    kind = _column(written, key, name, names, file)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.int64()
    if is_text(kind):
        return pa.string()
    if pa.types.is_null(kind):
        return kind
    remedy = f"name a column of whole numbers or text in {key}"
    raise UserError(f"{file}: column {name!r} is {kind}; {remedy}")


def _column(written: pa.Schema, key: str, name: str, names: list[str], file: str) -> pa.DataType:
    if name not in names:
        there = ", ".join(names) or "none"
        raise UserError(f"{file}: no column {name!r}; name one of its columns ({there}): "
                        f"{key}=…")  # fmt: skip
    return written.field(name).type


def _carried(source: Source, names: list[str]) -> list[str]:
    """Give the names of the columns that are carried along, as they stand in the file."""
    # data.user_id=null says that a column user_id is none.
    used = {source.image_id, source.user_id or DEFAULT_USER, source.tags}
    asked = _asked(source)
    keep = [n for n in names if n not in used and (source.carry is None or n in asked)]
    for name in {*asked, *keep}:
        if name in used:
            raise UserError(f"data.carry, data.order_by: column {name!r} is read already as "
                            "image_id, user_id or tags; leave it out")  # fmt: skip
        if name in TAKEN:
            raise UserError(f"column {name!r} has the name of a column of the output; rename it, "
                            "or leave it out with data.carry=[…]")  # fmt: skip
    return keep


def _asked(source: Source) -> list[str]:
    by_column = source.order_by not in (None, source.image_id)
    return [*(source.carry or ()), *([str(source.order_by)] if by_column else [])]
