"""Parquet files: one part per row group, tags read as dictionary codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.crawl.columns import conform, crawl_schema, unite
from data_prep.crawl.files import is_local, open_file
from data_prep.crawl.source import BATCH_BYTES, BATCH_ROWS, Batch, Part, Source, damage, unreadable

READ_BYTES = 1 << 20  # of a column chunk at a time, so that a giant row group is streamed


def parquet_parts(files: list[str], source: Source) -> tuple[list[Part], pa.Schema | None]:
    """List the row groups of the files, and the columns of all of them."""
    parts: list[Part] = []
    schema: pa.Schema | None = None
    for file in files:
        try:
            with _open(file) as parquet:
                written, metadata = parquet.schema_arrow, parquet.metadata
                counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        except (pa.ArrowException, OSError) as error:
            parts.append(Part(file, damage=f"no readable Parquet file: {damage(error, file)}"))
            continue
        schema = unite(schema, crawl_schema(written, source, file), file)
        first = 0
        for index, rows in enumerate(counts):
            parts.append(Part(file, index, first, rows))
            first += rows
    return parts, schema


def first_schema(files: list[str]) -> pa.Schema | None:
    """Give the columns of the first file that can be read, as they are written."""
    for file in files:
        try:
            with _open(file) as parquet:
                return parquet.schema_arrow
        except (pa.ArrowException, OSError) as error:
            damage(error, file)
    return None


def read_parquet(part: Part, schema: pa.Schema, source: Source) -> Iterator[Batch]:
    """Read one row group; what cannot be decoded is told row by row."""
    for batch, numbers in row_group_batches(part, schema, source):
        if isinstance(batch, Batch):
            yield batch
        else:
            yield conform(batch, schema, source, part.file, numbers)


def row_group_batches(
    part: Part, schema: pa.Schema, source: Source, also: tuple[str, ...] = ()
) -> Iterator[tuple[pa.RecordBatch | Batch, np.ndarray]]:
    """Give batches as they are written with the numbers of their rows; a `Batch` of lost rows."""
    assert part.row_group is not None
    assert part.rows is not None
    asked = {"image_id": source.image_id, "user_id": source.user_id, "tags": source.tags}
    names = [asked.get(name, name) for name in schema.names] + list(also)
    done = 0
    try:
        with _open(part.file, source.tags) as parquet:
            there = [n for n in dict.fromkeys(names) if n in parquet.schema_arrow.names]
            rows = _batch_rows(parquet, part.row_group)
            for batch in parquet.iter_batches(rows, [part.row_group], there, use_threads=False):
                numbers = part.first_row + done + 1 + np.arange(len(batch))
                yield batch, numbers
                done += len(batch)
            why = f"it holds only {done} rows"
    except (pa.ArrowException, OSError) as error:
        why = damage(error, part.file)
    if done < part.rows:
        yield from _lost_rows(part, done, schema, f"damaged row group {part.row_group}: {why}")


def _lost_rows(
    part: Part, done: int, schema: pa.Schema, reason: str
) -> Iterator[tuple[Batch, np.ndarray]]:
    """Tell of all rows of a row group but the first `done`."""
    assert part.rows is not None
    empty = pa.RecordBatch.from_pylist([], schema)
    for start in range(done, part.rows, BATCH_ROWS):
        count = min(BATCH_ROWS, part.rows - start)
        numbers = part.first_row + start + 1 + np.arange(count)
        gone = unreadable(part.file, numbers.tolist(), [reason] * count, [None] * count)
        yield Batch(empty, gone), numbers


@contextmanager
def _open(file: str, tags: str | None = None) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; the words of the column `tags`, if in lists, come as codes."""
    with pa.OSFile(file) if is_local(file) else open_file(file) as raw:
        metadata = pq.read_metadata(raw)
        yield pq.ParquetFile(
            raw,
            metadata=metadata,
            read_dictionary=_word_columns(metadata, tags) if tags is not None else None,
            buffer_size=READ_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        )


def _word_columns(metadata: pq.FileMetaData, tags: str) -> list[str]:
    """Name the leaves of the list column `tags`: tags.list.element or tags.bag.array."""
    schema = metadata.schema
    leaves = [schema.column(i) for i in range(len(schema))]
    return [
        leaf.path
        for leaf in leaves
        if leaf.path.startswith(f"{tags}.") and leaf.physical_type == "BYTE_ARRAY"
    ]


def _batch_rows(parquet: pq.ParquetFile, row_group: int) -> int:
    group = parquet.metadata.row_group(row_group)
    size = group.total_byte_size / max(1, group.num_rows)
    return max(1024, min(BATCH_ROWS, int(BATCH_BYTES / max(1.0, size))))
