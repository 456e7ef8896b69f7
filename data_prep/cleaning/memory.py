"""Cleaning rows that are in memory: a call, without files or configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.cleaning.local import LocalCleaner
from data_prep.cleaning.rules import Rules
from data_prep.crawl.column_types import taken
from data_prep.crawl.columns import conform, crawl_schema, plain_columns, settle
from data_prep.crawl.source import BATCH_BYTES, BATCH_ROWS, Batch, Source
from data_prep.crawl.source import TAGS as CODED_TAGS
from data_prep.errors import UserError

TAGS = pa.list_(pa.string())


@dataclass(frozen=True)
class Cleaned:
    """What cleaning made of a crawl.

    Attributes
    ----------
    images : pa.Table
        Kept rows: the columns as given, `tags` being the vocabulary tags, in order, and `codes`
        (list<int32>), their places in the vocabulary, from 0.
    rejects : pa.Table
        Dropped rows: the columns as given, `tags` being all tags, normalised, `reason` and
        `detail` (string).
    vocabulary : pa.Table
        `tag`, `count` (images with it), `rank` (from 1).
    funnel : dict
        Rows read, kept, and dropped by reason; size of the vocabulary; what normalisation changed.
    """

    images: pa.Table
    rejects: pa.Table
    vocabulary: pa.Table
    funnel: dict[str, Any]


def clean(
    rows: Any,
    rules: Rules | None = None,
    *,
    image_id: str = "image_id",
    user_id: str | None = "user_id",
    tags: str = "tags",
    tags_delimiter: str = ",",
    order_by: str | None = None,
) -> Cleaned:
    """Clean the tags of a crawl that is in memory.

    Parameters
    ----------
    rows : pa.Table, polars.DataFrame, pandas.DataFrame or any Arrow stream
        One row per image. A row whose id is of no use, as 2.5, is among the rejects.
    rules : Rules, optional
        The paper's without it.
    image_id, user_id, tags : str
        Names of the columns. Without a column `user_id` nothing is compared within users.
    tags_delimiter : str
        Splits tags that are given as one string.
    order_by : str, optional
        Column of the crawl order; without it the order of `image_id`.

    Raises
    ------
    UserError
        `rows` is no table, a column is missing or unusable, there are no rows, or no tag is
        frequent enough.

    Examples
    --------
    >>> rows = pa.table({"image_id": [1, 2], "tags": [["Sea", "blue", "sky"], ["sky", "kite"]]})
    >>> cleaned = clean(rows, Rules(min_frequency=1, min_tags=3))
    >>> cleaned.images["tags"].to_pylist(), cleaned.rejects["reason"].to_pylist()
    ([['sea', 'blue', 'sky']], ['few_tags'])
    """
    table = _table_of(rows)
    source = Source("rows", "auto", image_id, user_id, tags, tags_delimiter, None, order_by)
    schema = settle(crawl_schema(table.schema, source, "rows"), source)
    with TemporaryDirectory(prefix="tag2box-") as folder:
        cleaner = LocalCleaner(rules or Rules(), Path(folder), schema, source.order_column)
        cleaner.run(_batches(table, schema, source))
        pairs = list(cleaner.results())
    images, rejects = (_table([pair[i] for pair in pairs]) for i in range(2))
    return Cleaned(images, rejects, cleaner.vocabulary, cleaner.funnel())


def _table_of(rows: Any) -> pa.Table:
    try:
        return pa.table(rows)
    except pa.ArrowException as error:
        why = str(error).splitlines()[0]
        raise UserError(f"rows: {why}; give every column values of one kind") from error
    except (TypeError, ValueError) as error:
        remedy = "give a pyarrow Table, a Polars or pandas frame (collect a LazyFrame first)"
        raise UserError(f"rows: {type(rows).__name__} is no table; {remedy}") from error


def _batches(table: pa.Table, schema: pa.Schema, source: Source) -> Iterator[Batch]:
    start = 1
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        # Of a view or a dictionary each slice would count as much as the whole.
        for piece in _cut(plain_columns(batch), _given_bytes):
            yield conform(piece, schema, source, "rows", np.arange(start, start + len(piece)))
            start += len(piece)


def _cut(batch: pa.RecordBatch, size: Callable[[pa.RecordBatch], int]) -> Iterator[pa.RecordBatch]:
    """Cut a batch of long rows: a string column holds 2 GB at most."""
    waiting = [batch]
    while waiting:
        batch = waiting.pop()
        if size(batch) <= BATCH_BYTES or len(batch) < 2:
            yield batch
        else:
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]


def _given_bytes(batch: pa.RecordBatch) -> int:
    return sum(column.nbytes for column in batch.columns if column.type != CODED_TAGS)


def _spelled_bytes(batch: pa.RecordBatch) -> int:
    words = batch["tags"].flatten()
    lengths = pc.binary_length(words.dictionary)
    return pc.sum(lengths.take(words.indices).cast(pa.int64())).as_py() or 0


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    """Join batches, with tags spelled out."""
    at = batches[0].schema.get_field_index("tags")
    pieces = [piece for batch in batches for piece in _cut(batch, _spelled_bytes)]
    table = pa.Table.from_batches(
        piece.set_column(at, pa.field("tags", TAGS), taken(piece["tags"])) for piece in pieces
    )
    if "reason" not in table.column_names:
        return table
    place = table.column_names.index("reason")
    return table.set_column(place, "reason", table["reason"].cast(pa.string()))
