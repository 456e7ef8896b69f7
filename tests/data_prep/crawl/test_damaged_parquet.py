"""Reading Parquet files in which something is damaged or not valid, among good data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.columns import conform
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import WORDS, read_all, write_parquet


def test_text_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    def spoilt(words: list[bytes]) -> pa.Array:
        return pa.array(words, pa.binary()).view(pa.string())

    words = pa.ListArray.from_arrays([0, 1, 2, 3, 4], spoilt([b"a", b"\xff", b"\xc3\xa4", b"b"]))
    notes = spoilt([b"x", b"y", b"z", b"\xc3"])
    rows, lost = read_all(write_parquet(tmp_path / "a.parquet", {"tags": words, "note": notes}))
    assert [(row["tags"], row["note"]) for row in rows] == [(["a"], "x"), (["ä"], "z")]
    assert lost == [("a.parquet", row, "invalid UTF-8", None) for row in (2, 4)]


@pytest.mark.parametrize("nested", [False, True])
def test_codes_that_stand_for_no_word_cost_their_batch(nested: bool, tmp_path: Path) -> None:
    crawl = open_crawl(Source(str(write_parquet(tmp_path / "a.parquet", {"note": list("abcd")}))))
    codes = pa.array([0, 5, 0, 0], pa.int32())
    notes = pa.DictionaryArray.from_arrays(codes, pa.array(["a"]), safe=False)
    tags = pa.ListArray.from_arrays([0, 1, 2, 3, 4], notes)
    changed = {"tags": tags} if nested else {"note": notes}
    columns = {"image_id": [1, 2, 3, 4], "tags": WORDS, "note": list("abcd")} | changed
    batch = conform(
        pa.record_batch(columns), crawl.schema, crawl.source, "a.parquet", 1 + np.arange(4)
    )
    assert len(batch.rows) == 0
    assert batch.unreadable["row"].to_pylist() == [1, 2, 3, 4]
    assert batch.unreadable["reason"].to_pylist() == ["damaged dictionary codes"] * 4


def test_a_file_that_is_no_parquet_among_good_ones(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(good[: len(good) // 2])
    (tmp_path / "c.parquet").write_bytes(b"")
    (tmp_path / "d.parquet").write_bytes(good[:-8] + b"\xff" * 8)
    write_parquet(tmp_path / "e.parquet")
    rows, lost = read_all(tmp_path)
    assert len(rows) == 8
    assert [(file, row) for file, row, _, _ in lost] == [
        ("b.parquet", None),
        ("c.parquet", None),
        ("d.parquet", None),
    ]
    assert all("no readable Parquet file" in reason for _, _, reason, _ in lost)


def test_no_file_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"abc")
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.parquet: not readable .*any other of the 2 files"):
        open_crawl(Source(str(tmp_path)))


def damaged(path: Path, row_group: int, column: int, at: float) -> None:
    """Flip bytes in a column of a row group, `at` (0 … 1) of the way through it."""
    chunk = pq.ParquetFile(path).metadata.row_group(row_group).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    middle = start + int(at * (chunk.total_compressed_size - 1))
    data = bytearray(path.read_bytes())
    for i in range(middle, min(middle + 8, start + chunk.total_compressed_size)):
        data[i] ^= 0xFF
    path.write_bytes(data)


def numbered(path: Path, rows: int, **options: Any) -> Path:
    table = pa.table({"image_id": np.arange(rows), "tags": [[f"t{i}", "x"] for i in range(rows)]})
    pq.write_table(table, path, **options)
    return path


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.99])
def test_a_damaged_row_group_costs_its_rows_only(column: int, at: float, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    numbered(path, 3000, row_group_size=1000, write_page_checksum=True, data_page_size=1000)
    damaged(path, 1, column, at)
    rows, lost = read_all(path)
    ids = [row["image_id"] for row in rows]
    assert all(row["tags"] == [f"t{row['image_id']}", "x"] for row in rows)
    assert set(range(1000)) | set(range(2000, 3000)) <= set(ids)
    assert ids == sorted(ids)
    # Every row is there or told, by its number from 1.
    assert sorted(ids + [row - 1 for _, row, _, _ in lost]) == list(range(3000))
    assert lost
    assert all("damaged row group 1" in reason for _, _, reason, _ in lost)


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_anywhere_lose_no_count(seed: int, tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.parquet", 3000, row_group_size=1000)
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    data[rng.integers(4, len(data) - footer)] ^= 1 << rng.integers(8)
    path.write_bytes(data)
    rows, lost = read_all(path)
    assert len(rows) + len(lost) == 3000


def test_a_row_group_shorter_than_it_says(tmp_path: Path) -> None:
    crawl = open_crawl(Source(str(write_parquet(tmp_path / "a.parquet"))))
    # pyarrow reads such a group, as a flipped bit in the header of a page makes it, without a word.
    batches = list(crawl.read(replace(crawl.parts[0], rows=6)))
    assert [len(batch.rows) for batch in batches] == [4, 0]
    assert batches[1].unreadable["row"].to_pylist() == [5, 6]
    assert batches[1].unreadable["reason"][0].as_py() == "damaged row group 0: it holds only 4 rows"


def test_rows_before_damage_in_a_giant_row_group_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    numbered(path, 300_000, row_group_size=300_000, write_page_checksum=True, compression="none")
    damaged(path, 0, 0, 0.95)
    crawl = open_crawl(Source(str(path)))
    batches = list(crawl.read(crawl.parts[0]))
    count = sum(len(batch.rows) for batch in batches)
    assert 131_072 <= count < 300_000
    told = pa.concat_batches([batch.unreadable for batch in batches])
    assert told["row"].to_pylist() == list(range(count + 1, 300_001))
    assert max(len(batch.unreadable) for batch in batches) <= 131_072
