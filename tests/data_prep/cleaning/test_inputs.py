"""Rows in memory as people have them: any kind of table, of tags and of further columns."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from data_prep.cleaning import Cleaned, Rules, clean
from data_prep.errors import UserError

RULES = Rules(min_frequency=2, min_tags=2, first_tags=3, max_shared_first_tags=1)
LISTS = [
    ["Sea", "kite", "boat"],
    ["sky", "kite", "sea"],
    None,
    ["boat", "kite", "sea"],
    ["sky", "a"],
]
CRAWL: dict[str, Any] = {
    "image_id": [11, 12, 13, 14, 15],
    "user_id": [7, 7, 8, None, 8],
    "tags": LISTS,
}
KEPT = [(11, ["sea", "kite", "boat"])]
REASONS = {12: "near_duplicate", 13: "few_tags", 14: "alphabetical", 15: "few_tags"}


def check(cleaned: Cleaned, to_id: type = int) -> None:
    images = cleaned.images.select(["image_id", "tags"]).to_pylist()
    assert [(row["image_id"], row["tags"]) for row in images] == [(to_id(n), t) for n, t in KEPT]
    reasons = cleaned.rejects.select(["image_id", "reason"]).to_pylist()
    assert {row["image_id"]: row["reason"] for row in reasons} == {
        to_id(n): reason for n, reason in REASONS.items()
    }
    assert cleaned.vocabulary["tag"].to_pylist() == ["kite", "sea", "boat", "sky"]
    detail = dict(
        zip(*cleaned.rejects.select(["image_id", "detail"]).to_pydict().values(), strict=True)
    )
    assert detail[to_id(12)] == "like 11"


def with_tags(tags: pa.Array | pa.ChunkedArray) -> pa.Table:
    return pa.table({**CRAWL, "tags": tags})


TEXT = pa.array(LISTS, pa.list_(pa.string()))
WORDS = TEXT.flatten()


@pytest.mark.parametrize(
    "tags",
    [
        TEXT,
        TEXT.cast(pa.list_(pa.large_string())),
        TEXT.cast(pa.large_list(pa.string())),
        TEXT.cast(pa.list_(pa.string_view())),
        pa.ListArray.from_arrays(TEXT.offsets, WORDS.dictionary_encode(), mask=TEXT.is_null()),
        pa.ListArray.from_arrays(
            TEXT.offsets,
            WORDS.dictionary_encode().cast(pa.dictionary(pa.int8(), pa.large_string())),
            mask=TEXT.is_null(),
        ),
        pa.chunked_array([TEXT[:1], TEXT[1:1], TEXT[1:4], TEXT[4:]]),
    ],
    ids=lambda tags: str(tags.type),
)
def test_tags_of_any_type(tags: pa.Array) -> None:
    check(clean(with_tags(tags), RULES))


@pytest.mark.parametrize("delimiter", [",", " ", "|", "; "])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_tags_in_one_string(delimiter: str, kind: pa.DataType) -> None:
    texts = [tags if tags is None else delimiter.join(tags) for tags in LISTS]
    check(clean(with_tags(pa.array(texts, kind)), RULES, tags_delimiter=delimiter))


def test_tags_in_one_string_of_a_dictionary() -> None:
    texts = pa.array([tags if tags is None else ",".join(tags) for tags in LISTS])
    check(clean(with_tags(texts.dictionary_encode()), RULES))


@pytest.mark.parametrize("id_kind", [pa.int64(), pa.int32(), pa.uint16(), pa.float64()], ids=str)
def test_ids_of_any_type(id_kind: pa.DataType) -> None:
    ids = {name: pa.array(CRAWL[name]).cast(id_kind) for name in ("image_id", "user_id")}
    cleaned = clean(pa.table({**CRAWL, **ids}), RULES)
    check(cleaned)
    assert cleaned.images.schema.field("image_id").type == pa.int64()


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_ids_as_text(kind: pa.DataType) -> None:
    ids = {
        name: pa.array([n if n is None else str(n) for n in CRAWL[name]]).cast(kind)
        for name in ("image_id", "user_id")
    }
    check(clean(pa.table({**CRAWL, **ids}), RULES), str)


def test_chunks_and_slices() -> None:
    table = pa.table(CRAWL)
    chunks = [table[:2], table[2:2], table[2:3], table[3:]]
    check(clean(pa.concat_tables(chunks), RULES))
    padded = pa.concat_tables([table, table, table]).combine_chunks()
    check(clean(padded[5:10], RULES))


def test_other_names() -> None:
    names = ["photo", "owner", "words"]
    table = pa.table(CRAWL).rename_columns(names)
    check(clean(table, RULES, image_id="photo", user_id="owner", tags="words"))


def test_pandas() -> None:
    check(clean(pd.DataFrame(CRAWL), RULES))  # users are floats there, for the missing one


@pytest.mark.parametrize("chunks", [1, 2])
def test_polars(chunks: int) -> None:
    frame = pl.DataFrame(CRAWL, strict=False)
    check(clean(frame if chunks == 1 else pl.concat([frame[:3], frame[3:]]), RULES))


def test_a_stream() -> None:
    table = pa.table(CRAWL)
    check(clean(pa.RecordBatchReader.from_batches(table.schema, table.to_batches(2)), RULES))


def test_without_users_nothing_is_compared() -> None:
    table = pa.table(CRAWL)
    for cleaned in (clean(table.drop(["user_id"]), RULES), clean(table, RULES, user_id=None)):
        assert cleaned.images["image_id"].to_pylist() == [11, 12]
        assert cleaned.funnel["dropped"]["near_duplicate"] == 0


def test_nobody_can_be_compared() -> None:
    table = pa.table({**CRAWL, "user_id": pa.nulls(5)})
    assert clean(table, RULES).images["image_id"].to_pylist() == [11, 12]
    nothing = clean(pa.table(CRAWL), Rules(min_frequency=1, min_tags=9))
    assert len(nothing.images) == 0
    assert nothing.funnel["dropped"]["few_tags"] == 5


MOMENT = datetime.datetime(2016, 8, 1, 12, 30, 0, 250)
CARRIED = {
    "time": pa.array([MOMENT, None, MOMENT, MOMENT, None], pa.timestamp("us", "UTC")),
    "day": pa.array([MOMENT.date(), None, None, MOMENT.date(), MOMENT.date()]),
    "boxes": pa.array([[[1.5, 2.0]], [], None, [[3.0], None], [[]]]),
    "camera": pa.array([{"make": "a", "iso": 1}, None, {"make": None, "iso": 2}, None, None]),
    "licence": pa.array(["by", None, "by", "cc0", "by"]).dictionary_encode(),
    "nothing": pa.nulls(5),
    "bytes": pa.array([b"\xff\x00", b"", None, b"x", b"y"]),
    "flag": pa.array([True, None, False, True, False]),
    "price": pa.array([Decimal("1.50"), None, Decimal("-2.00"), None, Decimal("0.00")]),
    "half": pa.array([1.5, None, float("inf"), -0.0, 2.5]).cast(pa.float32()),
    "long": pa.array(["x" * 300, None, "", "é", "\U0001f436"], pa.large_string()),
    "pair": pa.array([[1, 2], None, [3, 4], [5, 6], [7, 8]], pa.list_(pa.int8(), 2)),
    "map": pa.array([[("k", 1)], None, [], [("l", None)], []], pa.map_(pa.string(), pa.int32())),
    "view": pa.array(["v", None, "", "w" * 20, "x"], pa.string_view()),
    "views": pa.array([["v", None], None, [], ["w" * 20], ["x"]], pa.list_(pa.string_view())),
    "small": pa.array([1, None, 255, 0, 3], pa.uint8()),
}


# Reading a crawl makes these plain: strings, lists of any length.
MADE_PLAIN = {"licence", "nothing", "view", "views", "pair"}


@pytest.mark.parametrize("size", [5, 2], ids=["one chunk", "chunks"])
def test_carried_columns_stay_as_they_are(size: int) -> None:
    """In both tables, in the order given, beside an unreadable row that has none."""
    table = pa.table({**CARRIED, **CRAWL})
    parts = [pa.Table.from_batches([batch]) for batch in table.to_batches(size)]
    dictionary = pa.array(["other", "by", "x", "cc0", "by"]).dictionary_encode()
    at = table.schema.get_field_index("licence")
    parts[-1] = parts[-1].set_column(at, "licence", dictionary[5 - len(parts[-1]) :])
    table = pa.concat_tables(
        [*parts, table[:1].set_column(len(CARRIED), "image_id", pa.nulls(1, pa.int64()))]
    )
    cleaned = clean(table, RULES)
    check(Cleaned(cleaned.images, cleaned.rejects[:4], cleaned.vocabulary, cleaned.funnel))
    kept, out = table[:1], table[1:5]
    for name in CARRIED:
        for given, got in ((kept, cleaned.images), (out, cleaned.rejects[:4])):
            same_type = got.schema.field(name).type == given.schema.field(name).type
            assert same_type or name in MADE_PLAIN
            assert got[name].to_pylist() == given[name].to_pylist()
    lost = cleaned.rejects[4:].to_pylist()
    assert len(lost) == 1
    detail = lost[0].pop("detail")
    assert detail == "rows, row 6: no image id"
    assert {name: value for name, value in lost[0].items() if value is not None} == {
        "reason": "unreadable"
    }


MOMENTS = [datetime.datetime(2016, 8, day) for day in (3, 2, 5, 1, 4)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([3, 2, 5, 1, 4], pa.uint8()),
        pa.array(["30", "3", "100", "2", "90"]),
        pa.array(["30", "3", "100", "2", "90"], pa.large_string()),
        pa.array(["30", "3", "100", "2", "90"], pa.string_view()),
        pa.array(["30", "3", "100", "2", "90"]).dictionary_encode(),
        pa.array(["c", "b", "e", "a", "d"]).dictionary_encode(),
        pa.array(MOMENTS),
        pa.array([moment.date() for moment in MOMENTS]),
        pa.array([None, None, None, -1.5, float("nan")]),
        pa.array([True, True, None, False, True]),
        pa.array([Decimal(3), None, None, Decimal("-2.5"), Decimal(0)]),
    ],
    ids=lambda times: str(times.type),
)
def test_the_crawl_order_of_a_column(times: pa.Array) -> None:
    rows = {**CRAWL, "tags": [["b", "a", "c"]] * 5, "user_id": [1] * 5, "time": times}
    cleaned = clean(pa.table(rows), RULES, order_by="time")
    assert cleaned.images["image_id"].to_pylist() == [14]
    assert cleaned.rejects["detail"].to_pylist() == ["like 14"] * 4


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"tags": [1, 2, 3, 4, 5]}, {}, "column 'tags' is int64"),
        ({"image_id": [[1]] * 5}, {}, "column 'image_id' is list"),
        ({"image_id": [0.5] * 5}, {}, "no image .5 unreadable rows."),
        ({"codes": [1] * 5}, {}, "name of a column of the output"),
        ({}, {"tags": "words"}, "no column 'words'"),
        ({}, {"user_id": "owner"}, "no column 'owner'"),
        ({}, {"order_by": "time"}, "no column 'time'"),
        ({"time": [[1]] * 5}, {"order_by": "time"}, "order_by=time: the column is list"),
        ({"image_id": pa.nulls(5)}, {}, "no image .5 unreadable rows."),
    ],
)
def test_unusable_rows(change: dict[str, Any], options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        clean(pa.table({**CRAWL, **change}), RULES, **options)


def test_no_rows() -> None:
    with pytest.raises(UserError, match="holds no image"):
        clean(pa.table(CRAWL)[:0], RULES)


def test_order_by_the_column_of_ids() -> None:
    rows = pa.table({"photo": [2, 1], "user_id": [1, 1], "tags": [["b", "a"]] * 2})
    rules = Rules(min_frequency=1, min_tags=1, max_shared_first_tags=1)
    cleaned = clean(rows, rules, image_id="photo", order_by="photo")
    assert cleaned.images["image_id"].to_pylist() == [1]


def test_lists_written_as_text_are_refused() -> None:
    rows = pa.table({"image_id": [1, 2], "tags": ["['sea', 'sky']", None]})
    with pytest.raises(UserError, match=r"holds lists written as text \(\['sea', 'sky'\]\)"):
        clean(rows, Rules(min_frequency=1, min_tags=1))
    odd = pa.table({"image_id": [1, 2], "tags": ["[sic],[brackets]", "sea,sky"]})
    cleaned = clean(odd, Rules(min_frequency=1, min_tags=1))
    assert cleaned.images["tags"].to_pylist() == [["[sic]", "[brackets]"]]
    assert cleaned.funnel["dropped"]["alphabetical"] == 1


def test_no_image_says_why() -> None:
    rows = pa.table({"image_id": pa.array([None, None], pa.int64()), "tags": [["a"]] * 2})
    with pytest.raises(
        UserError, match=r"\(2 unreadable rows; the first: rows, row 1: no image id\)"
    ):
        clean(rows, Rules(min_frequency=1))
