"""The rows that stage=clean wrote, and rows that do not fit their vocabulary."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from data_prep.shards.rows import read_rows
from tests.data_prep.shards.cleaned import TAGS, cleaned_rows, write_cleaned


def test_what_is_kept(tmp_path: Path) -> None:
    rows = cleaned_rows(7)
    for row in rows:
        row |= {"split": "train", "title": "not needed"}
    found, vocabulary = read_rows(write_cleaned(tmp_path, rows), ["split", "image_id"])
    kept = ("image_id", "codes", "user_id", "split")
    assert found.schema.names == list(kept)
    assert found.to_pylist() == [{name: row[name] for name in kept} for row in rows]
    assert vocabulary["tag"].to_pylist() == TAGS


def test_unknown_tags_become_codes(tmp_path: Path) -> None:
    unknown = [["sky", "zebra", "dog"], [], None, ["zebra"], ["ball"]]
    rows = [row | {"unknown": u} for row, u in zip(cleaned_rows(5), unknown, strict=True)]
    found, _ = read_rows(write_cleaned(tmp_path, rows))
    assert found["unknown"].to_pylist() == [[3, 0], [], [], [], [2]]


@pytest.mark.parametrize("kind", [pa.int64(), pa.decimal128(30), pa.dictionary(pa.int8(), "str")])
def test_ids_of_any_type(tmp_path: Path, kind: pa.DataType) -> None:
    folder = write_cleaned(tmp_path, cleaned_rows(3))
    table = pq.read_table(folder / "images.parquet")
    ids = ["7", "8", "9"] if pa.types.is_dictionary(kind) else [Decimal(n) for n in (7, 8, 9)]
    column = pa.array(ids).cast(kind)
    pq.write_table(table.set_column(0, "image_id", column), folder / "images.parquet")
    found, _ = read_rows(folder)
    assert [str(one) for one in found["image_id"].to_pylist()] == ["7", "8", "9"]


def test_tables_that_spark_wrote_are_folders(tmp_path: Path) -> None:
    rows = cleaned_rows(6)
    folder = write_cleaned(tmp_path, rows)
    table = pq.read_table(folder / "images.parquet")
    (folder / "images.parquet").unlink()
    (folder / "images.parquet").mkdir()
    (folder / "images.parquet" / "_SUCCESS").touch()
    for part in range(2):
        piece = table.slice(3 * part, 3)
        pq.write_table(piece, folder / "images.parquet" / f"part-{part}.parquet")
    found, _ = read_rows(folder)
    assert found["image_id"].to_pylist() == [row["image_id"] for row in rows]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": [0, 4]}, "code 4, but vocabulary.parquet has 4 tags; take"),
        ({"codes": [0, -1]}, "code -1"),
        ({"codes": [0, None]}, "code"),
        ({"codes": [1, 0]}, "codes are not those of the tags"),
        ({"codes": [0]}, "codes are not those of the tags"),
        ({"tags": ["dog"]}, "codes are not those of the tags"),
    ],
)
def test_codes_of_another_vocabulary(tmp_path: Path, changed: dict, message: str) -> None:
    rows = [*cleaned_rows(3), {"image_id": "x", "tags": ["dog", "grass"], "codes": [0, 1]}]
    rows[3] |= changed
    with pytest.raises(UserError, match=message):
        read_rows(write_cleaned(tmp_path, rows))


@pytest.mark.parametrize("name", ["done.json", "images.parquet", "vocabulary.parquet"])
def test_unfinished(tmp_path: Path, name: str) -> None:
    (write_cleaned(tmp_path, cleaned_rows(3)) / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing; run stage=clean to its end"):
        read_rows(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder; run stage=clean first"):
        read_rows(tmp_path / "clean")


@pytest.mark.parametrize("name", ["images.parquet", "vocabulary.parquet"])
def test_damaged_tables(tmp_path: Path, name: str) -> None:
    path = write_cleaned(tmp_path, cleaned_rows(30)) / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=name):
        read_rows(tmp_path)


def test_a_column_is_missing(tmp_path: Path) -> None:
    folder = write_cleaned(tmp_path, cleaned_rows(3))
    with pytest.raises(UserError, match="no column file; there are image_id, user_id"):
        read_rows(folder, ["file"])


def test_no_rows(tmp_path: Path) -> None:
    folder = write_cleaned(tmp_path, cleaned_rows(3))
    table = pq.read_table(folder / "images.parquet")
    pq.write_table(table.slice(0, 0), folder / "images.parquet")
    with pytest.raises(UserError, match="no rows"):
        read_rows(folder)


def test_a_row_without_an_id(tmp_path: Path) -> None:
    rows = cleaned_rows(3)
    rows[1]["image_id"] = None
    with pytest.raises(UserError, match="rows without an image_id"):
        read_rows(write_cleaned(tmp_path, rows))
