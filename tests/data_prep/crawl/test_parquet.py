"""Reading Parquet files of a crawl."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.source import TAGS

ROWS = pa.table(
    {
        "image_id": [3, 1, 2],
        "user_id": ["a", None, "b"],
        "tags": [["cat", None, "dog"], None, []],
        "date": [5, 6, 7],
    }
)


def test_rows_come_as_written(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "a.parquet", row_group_size=2)
    crawl = open_crawl(Source(str(tmp_path)))
    assert [part.row_group for part in crawl.parts] == [0, 1]
    assert crawl.schema.field("tags").type == TAGS
    batches = [batch for part in crawl.parts for batch in crawl.read(part)]
    assert pa.Table.from_batches([b.rows for b in batches]).to_pylist() == ROWS.to_pylist()
    assert all(batch.rows.schema == crawl.schema for batch in batches)
    assert sum(len(batch.unreadable) for batch in batches) == 0
