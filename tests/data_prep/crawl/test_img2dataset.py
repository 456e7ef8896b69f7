"""Reading the metadata that img2dataset leaves beside its shards."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import read_all


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two shards as img2dataset's webdataset output has them, made by hand."""
    for shard in range(2):
        stem = f"{shard:05d}"
        table = pa.table(
            {
                "url": [f"https://example.org/{shard}{i}.jpg" for i in range(3)],
                "caption": ["cat,dog", None, "sun"],
                "key": [f"{shard:05d}{i:04d}" for i in range(3)],
                "status": ["success", "failed_to_download", "success"],
                "error_message": [None, "HTTP Error 404: Not Found", None],
                "width": pa.array([640, None, 320], pa.int32()),
            }
        )
        pq.write_table(table, tmp_path / f"{stem}.parquet")
        (tmp_path / f"{stem}_stats.json").write_text(json.dumps({"count": 3, "successes": 2}))
        (tmp_path / f"{stem}.tar").write_bytes(b"")
    return tmp_path


def test_columns_of_views(run: Path) -> None:
    expected = read_all(run, tags="caption")
    for file in run.glob("*.parquet"):
        table = pq.read_table(file)
        for i, field in enumerate(table.schema):
            if pa.types.is_string(field.type):
                table = table.set_column(i, field.name, table[field.name].cast(pa.string_view()))
        pq.write_table(table, file)
    assert read_all(run, tags="caption") == expected


def test_a_run_is_recognised(run: Path) -> None:
    crawl = open_crawl(Source(str(run), tags="caption"))
    assert crawl.format == "img2dataset"
    rows, lost = read_all(run, tags="caption", carry=("width",))
    assert rows[:2] == [
        {"image_id": "000000000", "tags": ["cat", "dog"], "width": 640},
        {"image_id": "000000002", "tags": ["sun"], "width": 320},
    ]
    assert len(rows) == 4
    reason = "not downloaded: HTTP Error 404: Not Found"
    assert lost == [
        ("00000.parquet", 2, reason, "https://example.org/01.jpg"),
        ("00001.parquet", 2, reason, "https://example.org/11.jpg"),
    ]


@pytest.mark.parametrize("name", ["00001.parquet", "*.parquet"])
def test_a_shard_or_a_glob(run: Path, name: str) -> None:
    assert open_crawl(Source(str(run / name), tags="caption")).format == "img2dataset"


def test_said_in_so_many_words(run: Path) -> None:
    for stats in run.glob("*_stats.json"):
        stats.unlink()
    assert open_crawl(Source(str(run), "img2dataset", tags="caption")).format == "img2dataset"
    with pytest.raises(UserError, match="no column 'image_id'"):
        open_crawl(Source(str(run), tags="caption"))


def test_an_own_image_id(run: Path) -> None:
    rows, _ = read_all(run, image_id="url", tags="caption", carry=())
    assert rows[0] == {"image_id": "https://example.org/00.jpg", "tags": ["cat", "dog"]}


def test_a_shard_cut_off(run: Path) -> None:
    shard = run / "00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    rows, lost = read_all(run, tags="caption")
    assert [row["image_id"] for row in rows] == ["000010000", "000010002"]
    assert [(file, row) for file, row, _, _ in lost] == [
        ("00000.parquet", None),
        ("00001.parquet", 2),
    ]
