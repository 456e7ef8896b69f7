"""Reading Parquet files of a crawl: columns of many types, and files with different ones."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.columns import crawl_schema, settle
from data_prep.crawl.source import TAGS
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import WORDS, read_all, types, write_parquet


def test_a_part_is_a_row_group(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", row_group_size=3)
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
    write_parquet(path, {"tags": pa.array(WORDS, kind)}, store_schema=store)
    rows, _ = read_all(path)
    assert [row["tags"] for row in rows] == WORDS


def test_lists_of_fixed_size_and_foreign_names(tmp_path: Path) -> None:
    pairs = pa.array([["a", "b"], None, ["c", None], ["a", "a"]], pa.list_(pa.string(), 2))
    rows, _ = read_all(write_parquet(tmp_path / "a.parquet", {"tags": pairs}))
    assert [row["tags"] for row in rows] == pairs.to_pylist()
    old = write_parquet(tmp_path / "b.parquet", use_compliant_nested_type=False)  # tags.list.item
    assert [row["tags"] for row in read_all(old)[0]] == WORDS


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_delimited_tags(kind: pa.DataType, tmp_path: Path) -> None:
    tags = pa.array(["a; b", None, "", "c"]).cast(kind)
    rows, _ = read_all(write_parquet(tmp_path / "a.parquet", {"tags": tags}), tags_delimiter=";")
    assert [row["tags"] for row in rows] == [["a", " b"], None, [""], ["c"]]


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
    path = write_parquet(tmp_path / "a.parquet", {column: values})
    kind = str(pa.array(values).type).split("<")[0]
    with pytest.raises(
        UserError, match=rf"a\.parquet: column '{column}' is {kind}.*data\.{column}"
    ):
        open_crawl(Source(str(path)))


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"note": list("abcd")})
    there = r"\(image_id, user_id, tags, note\)"
    for key in ("image_id", "user_id", "tags"):
        with pytest.raises(UserError, match=rf"no column 'x'.*{there}.*data\.{key}="):
            read_all(path, **{key: "x"})


def test_no_users(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"user_id": None})
    assert list(types(path)) == ["image_id", "tags"]
    assert list(types(path, user_id=None)) == ["image_id", "tags"]


def test_carried_columns(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", {"a": [1, 2, 3, 4], "b.c": list("wxyz"), "d": [b"\xff"] * 4}
    )
    assert list(types(path))[3:] == ["a", "b.c", "d"]
    assert list(types(path, carry=("b.c",)))[3:] == ["b.c"]
    assert list(types(path, carry=(), order_by="a"))[3:] == ["a"]
    assert read_all(path)[0][0] == {
        "image_id": 3, "user_id": 7, "tags": WORDS[0], "a": 1, "b.c": "w", "d": b"\xff"
    }  # fmt: skip
    for options in ({"carry": ("x",)}, {"order_by": "x"}):
        with pytest.raises(UserError, match="there is no column 'x' in the crawl"):
            open_crawl(Source(str(path), **options))
    with pytest.raises(UserError, match="'user_id' is read already"):
        open_crawl(Source(str(path), carry=("user_id",)))


def test_a_column_that_arrow_cannot_handle() -> None:
    union = pa.sparse_union([pa.field("a", pa.int64())])
    written = pa.schema({"image_id": pa.int64(), "tags": pa.string(), "odd": union})
    with pytest.raises(UserError, match=r"a: column 'odd' is sparse_union.*data\.carry"):
        crawl_schema(written, Source("a"), "a")
    assert crawl_schema(written, Source("a", carry=()), "a").names == ["image_id", "tags"]


@pytest.mark.parametrize(
    "kind", [pa.float16(), pa.month_day_nano_interval(), pa.decimal32(5, 1)], ids=str
)
def test_a_column_without_order(kind: pa.DataType) -> None:
    written = pa.schema({"image_id": pa.int64(), "tags": pa.string(), "time": kind})
    source = Source("a", order_by="time")
    with pytest.raises(
        UserError, match=rf"data\.order_by=time: the column is {kind}".split("(")[0]
    ):
        settle(crawl_schema(written, source, "a"), source)


@pytest.mark.parametrize("name", ["codes", "reason", "detail"])
def test_a_carried_column_named_like_one_of_the_output(name: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {name: [1, 2, 3, 4]})
    with pytest.raises(UserError, match=rf"'{name}'.*data\.carry"):
        open_crawl(Source(str(path)))
    assert list(types(path, carry=())) == ["image_id", "user_id", "tags"]


def test_a_column_that_another_one_stands_for(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"photo": [9, 8, 7, 6]})
    with pytest.raises(UserError, match=r"'image_id'.*data\.carry"):
        open_crawl(Source(str(path), image_id="photo"))
    rows, _ = read_all(path, image_id="photo", carry=())
    assert [row["image_id"] for row in rows] == [9, 8, 7, 6]


def test_files_with_different_columns(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "a.parquet", {"n": pa.array([1, 2, 3, 4], pa.int32()), "user_id": None}
    )
    write_parquet(tmp_path / "b.parquet", {"n": pa.array([2**40] * 4), "m": list("abcd")})
    rows, _ = read_all(tmp_path)
    assert rows[0] == {"image_id": 3, "user_id": None, "tags": WORDS[0], "n": 1, "m": None}
    assert rows[4] == {"image_id": 3, "user_id": 7, "tags": WORDS[0], "n": 2**40, "m": "a"}
    write_parquet(tmp_path / "c.parquet", {"image_id": list("abcd")})
    with pytest.raises(UserError, match=r"c\.parquet: not as in the files before it.*image_id"):
        open_crawl(Source(str(tmp_path)))


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
    path = write_parquet(tmp_path / "a.parquet")
    crawl = open_crawl(Source(str(path)))
    path.unlink()
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read .*No such file"):
        list(crawl.read(crawl.parts[0]))


def test_a_crawl_without_rows(tmp_path: Path) -> None:
    empty = pa.table({"image_id": pa.array([], pa.int32()), "tags": pa.array([], pa.null())})
    pq.write_table(empty, tmp_path / "a.parquet")
    assert read_all(tmp_path) == ([], [])
    assert types(tmp_path) == {"image_id": pa.int64(), "tags": TAGS}
