"""Reading Parquet files of a crawl: types, and damage among good data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.source import TAGS
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import read_all, types

WORDS = [["cat", None, "dog"], None, [], ["sun"]]


def write(path: Path, columns: dict[str, Any] | None = None, **options: Any) -> Path:
    columns = {"image_id": [3, 1, 2, 4], "user_id": [7, 7, None, 8], "tags": WORDS} | (
        columns or {}
    )
    table = pa.table({name: column for name, column in columns.items() if column is not None})
    pq.write_table(table, path, **options)
    return path


def test_a_part_is_a_row_group(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", row_group_size=3)
    crawl = open_crawl(Source(str(tmp_path)))
    assert [(part.row_group, part.rows, part.first_row) for part in crawl.parts] == [
        (0, 3, 0),
        (1, 1, 3),
    ]
    assert crawl.schema.field("tags").type == TAGS
    second = list(crawl.read(crawl.parts[1]))
    assert [batch.rows.to_pylist() for batch in second] == [
        [{"image_id": 4, "user_id": 8, "tags": ["sun"]}]
    ]


KINDS = [
    pa.list_(pa.string()),
    pa.large_list(pa.string()),
    pa.list_(pa.large_string()),
    pa.list_view(pa.string()),
    pa.large_list_view(pa.large_string()),
    pa.list_(pa.dictionary(pa.int8(), pa.string())),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("store", [True, False])
def test_lists_of_every_kind(kind: pa.DataType, store: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    try:
        write(path, {"tags": pa.array(WORDS, kind)}, store_schema=store)
    except pa.ArrowNotImplementedError:
        pytest.skip("this pyarrow does not write it")
    rows, _ = read_all(path)
    assert [row["tags"] for row in rows] == WORDS


def test_lists_of_fixed_size_and_foreign_names(tmp_path: Path) -> None:
    pairs = pa.array([["a", "b"], None, ["c", None], ["a", "a"]], pa.list_(pa.string(), 2))
    rows, _ = read_all(write(tmp_path / "a.parquet", {"tags": pairs}))
    assert [row["tags"] for row in rows] == pairs.to_pylist()
    old = write(tmp_path / "b.parquet", use_compliant_nested_type=False)  # tags.list.item
    assert [row["tags"] for row in read_all(old)[0]] == WORDS


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_delimited_tags(kind: pa.DataType, tmp_path: Path) -> None:
    tags = pa.array(["a; b", None, "", "c"]).cast(kind)
    rows, _ = read_all(write(tmp_path / "a.parquet", {"tags": tags}), tags_delimiter=";")
    assert [row["tags"] for row in rows] == [["a", " b"], None, [""], ["c"]]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([1, 2, 3, 4], pa.uint8()), [1, 2, 3, 4]),
        (pa.array([1, 2, 3, 4], pa.uint64()), [1, 2, 3, 4]),
        (pa.array([1.0, 2.0, -3.0, 2.0**40]), [1, 2, -3, 2**40]),
        (pa.array(["a", "b", "a", "ü"]).dictionary_encode(), ["a", "b", "a", "ü"]),
        (pa.array(["a", "b", "a", "ü"], pa.large_string()), ["a", "b", "a", "ü"]),
    ],
)
def test_ids_are_int64_or_text(ids: pa.Array, expected: list, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"image_id": ids, "user_id": ids})
    rows, _ = read_all(path)
    assert [row["image_id"] for row in rows] == expected
    kind = pa.string() if isinstance(expected[0], str) else pa.int64()
    assert types(path)["image_id"] == types(path)["user_id"] == kind


def test_users_as_pandas_writes_them(tmp_path: Path) -> None:
    users = pa.array(np.array([1.0, np.nan, 12345678901.0, np.nan]))
    rows, _ = read_all(write(tmp_path / "a.parquet", {"user_id": users}))
    assert [row["user_id"] for row in rows] == [1, None, 12345678901, None]


@pytest.mark.parametrize("number", [1.5, float("inf"), 2.0**53])
def test_floats_that_are_no_whole_numbers(number: float, tmp_path: Path) -> None:
    users = pa.array([1.0, number, None, 2.0])
    path = write(tmp_path / "a.parquet", {"user_id": users})
    with pytest.raises(
        UserError, match=rf"a\.parquet: column 'user_id' .*{number}.* whole numbers"
    ):
        read_all(path)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("image_id", [True, False, True, True]),
        ("image_id", [[1], [2], [3], [4]]),
        ("user_id", [{"a": 1}] * 4),
        ("tags", [[1], [2], [3], [4]]),
        ("tags", [1, 2, 3, 4]),
        ("tags", [[["a"]], None, None, None]),
    ],
)
def test_a_column_of_the_wrong_type(column: str, values: list, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {column: values})
    kind = str(pa.array(values).type).split("<")[0]
    with pytest.raises(
        UserError, match=rf"a\.parquet: column '{column}' is {kind}.*data\.{column}"
    ):
        open_crawl(Source(str(path)))


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"note": list("abcd")})
    there = r"\(image_id, user_id, tags, note\)"
    for key in ("image_id", "user_id", "tags"):
        with pytest.raises(UserError, match=rf"no column 'x'.*{there}.*data\.{key}="):
            read_all(path, **{key: "x"})


def test_no_users(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"user_id": None})
    assert list(types(path)) == ["image_id", "tags"]
    assert list(types(path, user_id=None)) == ["image_id", "tags"]


def test_carried_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet", {"a": [1, 2, 3, 4], "b.c": list("wxyz"), "d": [b"\xff"] * 4}
    )
    assert list(types(path))[3:] == ["a", "b.c", "d"]
    assert list(types(path, carry=("b.c",)))[3:] == ["b.c"]
    assert list(types(path, carry=(), order_by="a"))[3:] == ["a"]
    assert read_all(path)[0][0] == {
        "image_id": 3, "user_id": 7, "tags": WORDS[0], "a": 1, "b.c": "w", "d": b"\xff"
    }  # fmt: skip
    for options in ({"carry": ("x",)}, {"order_by": "x"}):
        with pytest.raises(UserError, match="no column 'x'; there are image_id, user_id, tags"):
            open_crawl(Source(str(path), **options))
    with pytest.raises(UserError, match="'user_id' is read already"):
        open_crawl(Source(str(path), carry=("user_id",)))


@pytest.mark.parametrize("name", ["codes", "reason", "detail"])
def test_a_carried_column_named_like_one_of_the_output(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {name: [1, 2, 3, 4]})
    with pytest.raises(UserError, match=rf"'{name}'.*data\.carry"):
        open_crawl(Source(str(path)))
    assert list(types(path, carry=())) == ["image_id", "user_id", "tags"]


def test_a_column_that_another_one_stands_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"photo": [9, 8, 7, 6]})
    with pytest.raises(UserError, match=r"'image_id'.*data\.carry"):
        open_crawl(Source(str(path), image_id="photo"))
    rows, _ = read_all(path, image_id="photo", carry=())
    assert [row["image_id"] for row in rows] == [9, 8, 7, 6]


def test_files_with_different_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"n": pa.array([1, 2, 3, 4], pa.int32()), "user_id": None})
    write(tmp_path / "b.parquet", {"n": pa.array([2**40] * 4), "m": list("abcd")})
    rows, _ = read_all(tmp_path)
    assert rows[0] == {"image_id": 3, "user_id": None, "tags": WORDS[0], "n": 1, "m": None}
    assert rows[4] == {"image_id": 3, "user_id": 7, "tags": WORDS[0], "n": 2**40, "m": "a"}
    write(tmp_path / "c.parquet", {"image_id": list("abcd")})
    with pytest.raises(UserError, match=r"c\.parquet: not as in the files before it.*image_id"):
        open_crawl(Source(str(tmp_path)))


def test_rows_without_an_image_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"image_id": [5, None, 6, None]}, row_group_size=2)
    rows, lost = read_all(path)
    assert [row["image_id"] for row in rows] == [5, 6]
    assert lost == [("a.parquet", row, "no image id", None) for row in (2, 4)]


def test_text_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    def spoilt(words: list[bytes]) -> pa.Array:
        return pa.array(words, pa.binary()).view(pa.string())

    words = pa.ListArray.from_arrays([0, 1, 2, 3, 4], spoilt([b"a", b"\xff", b"\xc3\xa4", b"b"]))
    notes = spoilt([b"x", b"y", b"z", b"\xc3"])
    rows, lost = read_all(write(tmp_path / "a.parquet", {"tags": words, "note": notes}))
    assert [(row["tags"], row["note"]) for row in rows] == [(["a"], "x"), (["ä"], "z")]
    assert lost == [("a.parquet", row, "invalid UTF-8", None) for row in (2, 4)]


def test_a_file_that_is_no_parquet_among_good_ones(tmp_path: Path) -> None:
    good = write(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(good[: len(good) // 2])
    (tmp_path / "c.parquet").write_bytes(b"")
    (tmp_path / "d.parquet").write_bytes(good[:-8] + b"\xff" * 8)
    write(tmp_path / "e.parquet")
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
    crawl = open_crawl(Source(str(write(tmp_path / "a.parquet"))))
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


def test_long_rows_come_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.crawl.parquet.BATCH_BYTES", 2 << 20)
    pictures = [bytes(1000) for _ in range(10_000)]
    table = pa.table({"image_id": range(10_000), "tags": [["a"]] * 10_000, "picture": pictures})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    crawl = open_crawl(Source(str(tmp_path)))
    batches = [batch.rows for batch in crawl.read(crawl.parts[0])]
    assert max(len(batch) for batch in batches) < 2200
    assert pa.Table.from_batches(batches)["image_id"].to_pylist() == list(range(10_000))


def test_a_file_that_may_not_be_read_stops_the_run(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    crawl = open_crawl(Source(str(path)))
    path.unlink()
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read .*No such file"):
        list(crawl.read(crawl.parts[0]))


def test_a_crawl_without_rows(tmp_path: Path) -> None:
    empty = pa.table({"image_id": pa.array([], pa.int32()), "tags": pa.array([], pa.null())})
    pq.write_table(empty, tmp_path / "a.parquet")
    assert read_all(tmp_path) == ([], [])
    assert types(tmp_path) == {"image_id": pa.int64(), "tags": TAGS}
