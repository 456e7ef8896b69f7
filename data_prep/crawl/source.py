"""What a crawl is: where it lies, its parts, and the batches that reading gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from data_prep.errors import UserError

Format = Literal["parquet", "csv", "tsv", "jsonl", "lines", "img2dataset"]

BATCH_ROWS = 131_072  # at most, in a batch
BATCH_BYTES = 128 << 20  # a batch of long rows has fewer of them
TEXT_LIMIT = 200  # characters kept of a row that could not be read
TAGS = pa.list_(pa.dictionary(pa.int32(), pa.string()))
UNREADABLE = pa.schema(
    {"file": pa.string(), "row": pa.int64(), "reason": pa.string(), "text": pa.string()}
)


@dataclass(frozen=True)
class Source:
    """How a crawl is written.

    Attributes
    ----------
    path : str
        File, folder (with all that is below it) or glob; a local path or any fsspec URL. A
        chained URL (zip://rows.csv::all.zip) names a single file.
    format : str
        "auto" goes by the names of the files; "lines", which must be said, is plain text with an
        image's tags on every line.
    image_id, user_id, tags : str
        Names of the columns. `user_id` may be None: no users are known. A column "user_id" that
        is not there is no error; one of another name must be there.
    tags_delimiter : str
        Splits tags that are written as one string.
    carry : sequence of str, optional
        Other columns to carry along; None: all. A string is a single name.
    order_by : str, optional
        Column that tells the order of the crawl; it is carried, whatever `carry` says.
    image_id_key, tags_key : str
        Config keys that name these columns, for messages.

    Raises
    ------
    UserError
        A value is of the wrong type, or `tags_delimiter` is empty.
    """

    path: str
    format: Literal["auto"] | Format = "auto"
    image_id: str = "image_id"
    user_id: str | None = "user_id"
    tags: str = "tags"
    tags_delimiter: str = ","
    carry: Sequence[str] | None = None
    order_by: str | None = None
    image_id_key: str = "data.image_id"
    tags_key: str = "data.tags"

    def __post_init__(self) -> None:
        carry = (self.carry,) if isinstance(self.carry, str) else self.carry
        if carry is not None:
            if not (isinstance(carry, Sequence) and all(isinstance(name, str) for name in carry)):
                raise UserError(f"data.carry={carry}: give names of columns, as in [title,url]")
            object.__setattr__(self, "carry", tuple(carry))
        must = {
            "crawl": self.path,
            "data.format": self.format,
            self.image_id_key: self.image_id,
            self.tags_key: self.tags,
            "data.tags_delimiter": self.tags_delimiter,
        }
        may = {"data.user_id": self.user_id, "data.order_by": self.order_by}
        for key, value in (must | may).items():
            if not isinstance(value, str) and not (value is None and key in may):
                raise UserError(f"{key}={value}: give text, in quotes if it looks like a number")
        if not self.tags_delimiter:
            raise UserError("data.tags_delimiter is empty; give the text between two tags: ','")

    @property
    def order_column(self) -> str:
        """Column of `Batch.rows` that tells the order of the crawl."""
        by_id = self.order_by is None or self.order_by == self.image_id
        return "image_id" if by_id else str(self.order_by)


@dataclass(frozen=True)
class Part:
    """A piece of a crawl that is read alone: a file, or one row group of a Parquet file.

    Attributes
    ----------
    file : str
        Local path or URL.
    row_group : int, optional
        Of a Parquet file.
    first_row, rows : int, optional
        Rows of the file before this row group (0 or more), and rows in it.
    damage : str, optional
        Why nothing in this file can be read.
    """

    file: str
    row_group: int | None = None
    first_row: int = 0
    rows: int | None = None
    damage: str | None = None


@dataclass(frozen=True)
class Batch:
    """Some consecutive rows of a crawl.

    Attributes
    ----------
    rows : pyarrow.RecordBatch
        At most 131,072 rows: `image_id` (int64 or string, no nulls), `user_id` where users are
        known (int64 or string, may be null), `tags` (list of dictionary<int32, string>; a null
        list has no tags; elements may be null), then the carried columns.
    unreadable : pyarrow.RecordBatch
        One row per lost row: `file`, `row` (its number in a Parquet file, the line on which it
        begins in a text file, from 1; null: unknown), `reason`, `text` (at most 200 characters
        of it, or null).
    """

    rows: pa.RecordBatch
    unreadable: pa.RecordBatch


def unreadable(
    file: str, rows: Iterable[int | None], reasons: Iterable[str], texts: Iterable[Any]
) -> pa.RecordBatch:
    """Make the record of lost rows; texts that are not valid Unicode are repaired."""
    numbers, why = list(rows), list(reasons)
    columns = [[file] * len(numbers), numbers, why, [_short(text) for text in texts]]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, UNREADABLE, strict=True)]
    return pa.record_batch(arrays, schema=UNREADABLE)


def lost(
    schema: pa.Schema, file: str, row: int | None, reason: str, text: str | bytes | None = None
) -> Batch:
    """Make a batch without rows that tells of one lost row or file."""
    return Batch(pa.RecordBatch.from_pylist([], schema), unreadable(file, [row], [reason], [text]))


def damage(error: Exception, file: str) -> str:
    """Tell in a line why data are damaged.

    Raises
    ------
    UserError
        The system refused the file: that is no damage, and another run may succeed.
    """
    if isinstance(error, OSError) and error.errno:
        remedy = "check the file, its permissions and the connection"
        raise UserError(f"{file}: cannot be read ({error.strerror or error}); {remedy}") from error
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _short(text: str | bytes | None) -> str | None:
    if text is None:
        return None
    if isinstance(text, bytes):
        text = text[: 4 * TEXT_LIMIT].decode("utf-8", "replace")
    return text[:TEXT_LIMIT].encode("utf-8", "replace").decode("utf-8")
