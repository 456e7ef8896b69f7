"""What img2dataset writes: a Parquet file beside each shard, a row for each image it tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.crawl.columns import conform, plain_columns
from data_prep.crawl.parquet import first_schema, row_group_batches
from data_prep.crawl.source import Batch, Part, Source, unreadable

OUTCOME = ("status", "error_message", "url")


def key_as_id(files: list[str], source: Source) -> Source:
    """Take img2dataset's `key` for the image id, if no other column was named and there is none."""
    schema = first_schema(files)
    if schema is None or source.image_id != "image_id" or "image_id" in schema.names:
        return source
    return replace(source, image_id="key") if "key" in schema.names else source


def read_img2dataset(part: Part, schema: pa.Schema, source: Source) -> Iterator[Batch]:
    """Read one row group; images that could not be downloaded are told as unreadable."""
    for batch, numbers in row_group_batches(part, schema, source, OUTCOME):
        if isinstance(batch, Batch):
            yield batch
            continue
        batch = plain_columns(batch)
        failed, gone = _failed(batch, part.file, numbers)
        done = conform(batch.filter(pa.array(~failed)), schema, source, part.file, numbers[~failed])
        yield Batch(done.rows, pa.concat_batches([gone, done.unreadable]))


def _failed(
    batch: pa.RecordBatch, file: str, numbers: np.ndarray
) -> tuple[np.ndarray, pa.RecordBatch]:
    """Mark the rows (rows,) whose image was not downloaded, and tell why."""
    if "status" not in batch.schema.names:
        return np.zeros(len(batch), dtype=bool), unreadable(file, [], [], [])
    success = pc.fill_null(pc.equal(batch.column("status").cast(pa.string()), "success"), False)
    failed = ~success.to_numpy(zero_copy_only=False)
    rows = batch.filter(pa.array(failed)).to_pylist()
    reasons = [f"not downloaded: {row.get('error_message') or row['status']}" for row in rows]
    texts = [row.get("url") for row in rows]
    return failed, unreadable(file, numbers[failed].tolist(), reasons, texts)
