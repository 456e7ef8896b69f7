"""Columns as they are written, brought to the columns of a crawl."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.crawl.column_types import (
    has_order,
    has_rows,
    is_list,
    is_text,
    lists,
    plain,
    taken,
    text,
)
from data_prep.crawl.ids import as_ids
from data_prep.crawl.source import BATCH_ROWS, TAGS, Batch, Source, unreadable
from data_prep.crawl.validity import valid_or_not
from data_prep.errors import UserError

TAKEN = ("image_id", "user_id", "tags", "codes", "reason", "detail")  # columns of the output
DEFAULT_USER = "user_id"
LOOKED_AT = 100  # rows of a batch, to tell words from lists written as text


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
    kind = plain(_column(written, source.tags_key, source.tags, names, file))
    words = kind.value_type if is_list(kind) else kind
    if not (is_text(words) or pa.types.is_null(words)):
        remedy = f"name a column of words, or of lists of words, in {source.tags_key}"
        raise UserError(f"{file}: column {source.tags!r} is {kind}; {remedy}")
    fields.append(pa.field("tags", TAGS))
    if len({source.image_id, user, source.tags}) < 3:
        keys = f"{source.image_id_key}, data.user_id, {source.tags_key}"
        raise UserError(f"{file}: {keys}: two of them name one column; name three")
    for name in _carried(source, names):
        kind = plain(written.field(name).type)
        if not has_rows(kind):
            remedy = "write it in another type, or leave the column out with data.carry=[…]"
            raise UserError(f"{file}: column {name!r} is {kind}, which cannot be carried; {remedy}")
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


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
            key = "data.order_by" if name == source.order_by else "data.carry"
            raise UserError(f"{key}: there is no column {name!r} in the crawl; check the name")
    if source.order_by in schema.names:
        kind = schema.field(source.order_by).type
        if not has_order(kind):
            remedy = "name a column of integers, float32, float64, decimal128, times or text"
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

    Returns
    -------
    Batch
        A row that is not valid, or whose ids are of no use, is among its unreadable ones.
    """
    asked = {"image_id": source.image_id, "user_id": source.user_id, "tags": source.tags}
    names = [asked.get(name, name) for name in schema.names]
    present = [name for name in names if name in batch.schema.names]
    try:
        batch, reasons = valid_or_not(plain_columns(batch.select(present)))
    except pa.ArrowIndexError:  # flipped bits, and no telling which other codes they changed
        reasons = dict.fromkeys(range(len(batch)), "damaged dictionary codes")
        return Batch(pa.RecordBatch.from_pylist([], schema), _told(reasons, file, numbers))
    for key, what in (("image_id", "image id"), ("user_id", "user id")):
        if asked[key] in present:
            at = present.index(str(asked[key]))
            ids, unusable = as_ids(batch.column(at), schema.field(key).type, what)
            batch = batch.set_column(at, present[at], ids)
            reasons = unusable | reasons
    missing = batch.column(source.image_id).is_null().to_numpy(zero_copy_only=False)
    reasons = dict.fromkeys(np.flatnonzero(missing).tolist(), "no image id") | reasons
    if reasons:
        good = np.ones(len(batch), dtype=bool)
        good[list(reasons)] = False
        batch = batch.filter(pa.array(good))
    columns = [
        _converted(batch, name, field, source, file)
        for name, field in zip(names, schema, strict=True)
    ]
    return Batch(pa.record_batch(columns, schema=schema), _told(reasons, file, numbers))


def plain_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give the columns in types of which Arrow can take single rows; tags in codes stay so."""
    columns = [column if column.type == TAGS else taken(column) for column in batch.columns]
    return pa.record_batch(columns, names=batch.schema.names)


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
        return _tags(column, source, file)
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        remedy = "write the column alike in all files, as text if need be"
        raise UserError(f"{file}: column {name!r}: {error}; {remedy}") from error


def _tags(column: pa.Array, source: Source, file: str) -> pa.Array:
    """Give lists of dictionary-encoded words."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TAGS)
    if not is_list(column.type):
        column = text(column)
        some = [words for words in column[:LOOKED_AT].to_pylist() if words]
        written = [words for words in some if re.fullmatch(r"\s*\[.*\]\s*", words, re.DOTALL)]
        if len(written) > len(some) / 2:
            raise UserError(f"{file}: column {source.tags!r} holds lists written as text "
                            f"({written[0][:40]}); write them as lists (Parquet, JSON Lines), or "
                            "as words with a delimiter")  # fmt: skip
        column = pc.split_pattern(column, source.tags_delimiter)
    if column.type == TAGS:
        return column
    return lists(column, text(column.flatten()).dictionary_encode())


def _told(reasons: dict[int, str], file: str, numbers: np.ndarray) -> pa.RecordBatch:
    rows = sorted(reasons)
    why = [reasons[row] for row in rows]
    return unreadable(file, numbers[rows].tolist(), why, [None] * len(rows))


def _id_type(written: pa.Schema, key: str, name: str, names: list[str], file: str) -> pa.DataType:
    kind = plain(_column(written, key, name, names, file))
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
    order = source.order_column
    return [*(source.carry or ()), *([order] if order != "image_id" else [])]
