"""Whole crawls as plain Python, for the tests."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.source import BATCH_ROWS

WORDS = [["cat", None, "dog"], None, [], ["sun"]]


def read_all(path: Path | str, **options: Any) -> tuple[list[dict], list[tuple]]:
    """Give all rows, and (file name, row, reason, text) of what was unreadable."""
    crawl = open_crawl(Source(str(path), **options))
    rows: list[dict] = []
    lost: list[tuple] = []
    for part in crawl.parts:
        for batch in crawl.read(part):
            assert batch.rows.schema == crawl.schema
            batch.rows.validate(full=True)
            assert len(batch.rows) <= BATCH_ROWS
            rows += batch.rows.to_pylist()
            lost += [
                (Path(one["file"]).name, one["row"], one["reason"], one["text"])
                for one in batch.unreadable.to_pylist()
            ]
    return rows, lost


def write_text(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def types(path: Path | str, **options: Any) -> dict[str, pa.DataType]:
    schema = open_crawl(Source(str(path), **options)).schema
    return dict(zip(schema.names, schema.types, strict=True))


def write_parquet(path: Path, columns: dict[str, Any] | None = None, **options: Any) -> Path:
    """Write a crawl of four images, with other columns; None takes a column away."""
    columns = {"image_id": [3, 1, 2, 4], "user_id": [7, 7, None, 8], "tags": WORDS} | (
        columns or {}
    )
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    pq.write_table(table, path, **options)
    return path
