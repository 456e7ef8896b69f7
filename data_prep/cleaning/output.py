"""What a row looks like once it is decided: an image, or a reject with its reason."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.cleaning.rules import REASONS, UNREADABLE
from data_prep.crawl.column_types import plain
from data_prep.crawl.source import TAGS

CODES = pa.list_(pa.int32())
REASON = pa.dictionary(pa.int8(), pa.string())


def image_schema(rows: pa.Schema) -> pa.Schema:
    """Columns of kept images, from those of the rows read."""
    return _with_tags(rows).append(pa.field("codes", CODES))


def reject_schema(rows: pa.Schema) -> pa.Schema:
    """Columns of dropped rows, from those of the rows read."""
    schema = _with_tags(rows).append(pa.field("reason", REASON))
    return schema.append(pa.field("detail", pa.string()))


def images(rows: pa.RecordBatch, code_of: np.ndarray, vocabulary: pa.Array) -> pa.RecordBatch:
    """Give kept rows their vocabulary tags, in order, as strings and as codes.

    Parameters
    ----------
    rows : pa.RecordBatch
        `tags` is a list<int32> of numbers below D.
    code_of : int32 (D,)
        Vocabulary code of each, or -1.
    vocabulary : string (V,)
        Tag of each code.
    """
    lists = rows["tags"]
    begins, numbers = _flat(lists)
    codes = code_of[numbers]
    known = codes >= 0
    offsets = np.append(0, np.cumsum(known)).astype(np.int32)[begins]
    codes = pa.array(codes[known])
    tags = pa.ListArray.from_arrays(offsets, pa.DictionaryArray.from_arrays(codes, vocabulary))
    columns = _replace_tags(rows, tags)
    columns.append(pa.ListArray.from_arrays(offsets, codes))
    return pa.record_batch(columns, schema=image_schema(rows.schema))


def rejects(
    rows: pa.RecordBatch, tags: pa.Array, reasons: np.ndarray, detail: pa.Array
) -> pa.RecordBatch:
    """Give dropped rows all their tags as strings, their reason and a detail.

    Parameters
    ----------
    rows : pa.RecordBatch
        `tags` is a list<int32> of numbers below D.
    tags : string (D,)
    reasons : uint8 (N,)
    detail : string (N,)
    """
    begins, numbers = _flat(rows["tags"])
    used = np.zeros(len(tags), bool)  # a file holds the strings of each row group anew
    used[numbers] = True
    number_of = np.cumsum(used, dtype=np.int32) - np.int32(1)
    strings = pa.DictionaryArray.from_arrays(number_of[numbers], tags.take(np.flatnonzero(used)))
    columns = _replace_tags(rows, pa.ListArray.from_arrays(begins, strings))
    columns.append(pa.DictionaryArray.from_arrays(reasons.astype(np.int8), list(REASONS)))
    return pa.record_batch([*columns, detail], schema=reject_schema(rows.schema))


def unreadable_rejects(lost: pa.RecordBatch, rows: pa.Schema) -> pa.RecordBatch:
    """Make rejects of rows that could not be read: only reason and detail are filled in.

    Parameters
    ----------
    lost : pa.RecordBatch
        `file`, `row`, `reason` and `text`, as in `data_prep.crawl.Batch`.
    rows : pa.Schema
        Of the rows that could be read.
    """
    schema = reject_schema(rows)
    count = len(lost)
    columns = {name: pa.nulls(count, schema.field(name).type) for name in schema.names}
    codes = pa.array(np.full(count, UNREADABLE, np.int8))
    columns["reason"] = pa.DictionaryArray.from_arrays(codes, list(REASONS))
    columns["detail"] = pa.array([describe_lost(row) for row in lost.to_pylist()], pa.string())
    return pa.record_batch(columns, schema=schema)


def describe_lost(row: dict[str, object]) -> str:
    """Say where a row that could not be read stood, and what was wrong."""
    place = row["file"] if row["row"] is None else f"{row['file']}, row {row['row']}"
    text = "" if row["text"] is None else f": {str(row['text']).strip()}"
    return f"{place}: {row['reason']}{text}"


def _with_tags(rows: pa.Schema) -> pa.Schema:
    return rows.set(rows.get_field_index("tags"), pa.field("tags", TAGS))


def _replace_tags(rows: pa.RecordBatch, tags: pa.Array) -> list[pa.Array]:
    return [tags if name == "tags" else rows[name] for name in rows.schema.names]


def _flat(lists: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (N + 1,) that start at 0, and the values, of lists without nulls."""
    offsets = lists.offsets.to_numpy()
    return offsets - offsets[0], lists.flatten().to_numpy()


@contextmanager
def parquet_file(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file that has its name only once it is whole."""
    part = path.with_name(path.name + ".part")
    with parquet_writer(part, schema) as writer:
        yield writer
    part.replace(path)


def parquet_writer(where: Path | BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """Begin a Parquet file.

    Its types are plain (a list of strings, however it is encoded in memory), so that every reader
    understands them. Arrow's own types, as that of times with a zone, are noted for its readers.
    """
    flat = [field.name for field in schema if not pa.types.is_nested(field.type)]
    writer = pq.ParquetWriter(
        where,
        schema,
        store_schema=False,
        compression="zstd",
        compression_level=1,
        use_dictionary=["tags.list.element", *(name for name in flat if name != "image_id")],
        dictionary_pagesize_limit=64 << 20,
        write_statistics=flat,  # those of tags cost half of the time and help nobody
    )
    plain_schema = pa.schema([field.with_type(plain(field.type)) for field in schema])
    noted = base64.b64encode(plain_schema.serialize().to_pybytes())  # as Arrow notes a schema
    writer.add_key_value_metadata({"ARROW:schema": noted})
    return writer
