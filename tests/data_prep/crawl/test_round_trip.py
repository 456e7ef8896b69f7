"""The same rows come out of every format."""

import csv
import gzip
import json
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.crawl import Source, open_crawl
from tests.data_prep.crawl.reading import read_all

# No surrogates (no Unicode text), no comma (the delimiter).
WORD = st.text(st.characters(codec="utf-8", exclude_characters=","), max_size=6)
# CSV knows no list without words but the empty field, and no null word.
ROW = st.fixed_dictionaries(
    {
        "image_id": st.integers(-(2**63), 2**63 - 1),
        "user_id": st.none() | st.integers(0, 9),
        "tags": st.none() | st.lists(WORD, min_size=1, max_size=5).filter(lambda tags: any(tags)),
        "note": st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)


def as_text(row: dict[str, Any], delimiter: str = ",") -> dict[str, Any]:
    tags = None if row["tags"] is None else delimiter.join(row["tags"])
    return row | {"tags": tags}


def write_parquet(rows: list[dict], path: Path) -> None:
    schema = pa.schema(
        {
            "image_id": pa.int64(),
            "user_id": pa.int64(),
            "tags": pa.list_(pa.string()),
            "note": pa.string(),
        }
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=5)


def write_csv(rows: list[dict], path: Path, delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(map(as_text, rows))


def write_tsv(rows: list[dict], path: Path) -> None:
    write_csv(rows, path, "\t")


def write_json(rows: list[dict], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json_text(rows: list[dict], path: Path) -> None:
    lines = [json.dumps(as_text(row), ensure_ascii=False) + "\n" for row in rows]
    path.write_bytes("".join(lines).encode())


WRITERS = {
    "rows.parquet": write_parquet,
    "rows.csv": write_csv,
    "rows.tsv": write_tsv,
    "rows.jsonl": write_json,
    "rows.ndjson": write_json_text,
}


def with_numbers(row: dict[str, Any]) -> dict[str, Any]:
    """CSV gives ids as text."""
    ids = {name: row[name] and int(row[name]) for name in ("image_id", "user_id") if name in row}
    return {"user_id": None, "note": None} | row | ids


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_rows_come_as_written(name: str, rows: list[dict]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        WRITERS[name](rows, path)
        found, lost = read_all(path)
    assert lost == []
    assert [with_numbers(row) for row in found] == rows


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_compressed_text(name: str, tmp_path: Path) -> None:
    rows = [{"image_id": i, "user_id": 1, "tags": ["a", "b"], "note": "x"} for i in range(1000)]
    WRITERS[name](rows, tmp_path / name)
    plain, _ = read_all(tmp_path / name)
    text = (tmp_path / name).read_bytes()
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / f"1{name}.gz").write_bytes(gzip.compress(text[:0]) + gzip.compress(text))
    with pa.output_stream(str(tmp_path / "z" / f"2{name}.zst"), compression="zstd") as stream:
        stream.write(text)
    assert read_all(tmp_path / "z") == (plain + plain, [])


@pytest.mark.parametrize("name", WRITERS)
def test_a_crawl_is_picklable(name: str, tmp_path: Path) -> None:
    rows = [{"image_id": i, "user_id": 1, "tags": ["a", "b"], "note": "x"} for i in range(12)]
    WRITERS[name](rows, tmp_path / name)
    crawl = open_crawl(Source(str(tmp_path)))
    again = pickle.loads(pickle.dumps(crawl))
    assert again == crawl
    for part in crawl.parts:
        pairs = zip(crawl.read(part), again.read(pickle.loads(pickle.dumps(part))), strict=True)
        assert all(one.rows.equals(two.rows) for one, two in pairs)


@pytest.mark.parametrize("name", WRITERS)
def test_long_files_come_in_batches(name: str, tmp_path: Path) -> None:
    rows = [
        {"image_id": i, "user_id": 1, "tags": ["ä", f"t{i}"], "note": "x"} for i in range(150_000)
    ]
    WRITERS[name](rows[:1], tmp_path / name)
    if name == "rows.parquet":  # one giant row group
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name, row_group_size=len(rows))
    else:
        WRITERS[name](rows, tmp_path / name)
    crawl = open_crawl(Source(str(tmp_path)))
    assert len(crawl.parts) == 1
    batches = [batch.rows for batch in crawl.read(crawl.parts[0])]
    assert len(batches) > 1
    assert max(map(len, batches)) <= 131_072
    table = pa.Table.from_batches(batches)
    assert table["image_id"].cast(pa.int64()).to_pylist() == list(range(150_000))
    assert table["tags"].to_pylist() == [row["tags"] for row in rows]
