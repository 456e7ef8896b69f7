"""Columns of awkward Arrow types, brought to plain ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_prep.crawl.column_types import has_order, has_rows, plain, taken, text

TEXT = ["a", None, "", "longer than an inline view", "a"]
LISTS = [["a", None], None, [], ["b" * 20, "c", "a"], ["a"]]
MAPS = [[("k", "v")], None, [], [("l", None), ("m", "w" * 20)], [("k", "")]]
VIEW = pa.string_view()
CODES = pa.array(TEXT).dictionary_encode()
CODED_VIEW = pa.DictionaryArray.from_arrays(CODES.indices, CODES.dictionary.cast(VIEW))
FLAT = pa.array(["a", None, "b" * 20, "c", "a", "a"]).dictionary_encode()
POLARS = pa.DictionaryArray.from_arrays(  # List(Categorical)
    FLAT.indices.cast(pa.uint32()), FLAT.dictionary.cast(VIEW)
)
RUNS = pa.RunEndEncodedArray.from_arrays(
    pa.array([1, 2, 4, 5], pa.int16()), pa.array(["a", None, "b", "c"], VIEW)
)
COLUMNS = [
    (pa.array(TEXT, VIEW), TEXT),
    (pa.array([b"\xff", None, b"", b"x" * 20, b"y"], pa.binary_view()),
     [b"\xff", None, b"", b"x" * 20, b"y"]),
    (CODED_VIEW, TEXT),
    (RUNS, ["a", None, "b", "b", "c"]),
    (pa.array(LISTS, pa.list_view(pa.string())), LISTS),
    (pa.array(LISTS, pa.large_list_view(VIEW)), LISTS),
    (pa.array(LISTS, pa.large_list(VIEW)), LISTS),
    (pa.array([["a", "b"], None, [None, "c"]] * 2, pa.list_(VIEW, 2))[:5],
     ([["a", "b"], None, [None, "c"]] * 2)[:5]),
    (pa.LargeListArray.from_arrays(
        [0, 2, 2, 2, 5, 6], POLARS, mask=pa.array([False, True, False, False, False])), LISTS),
    (pa.array(MAPS, pa.map_(VIEW, VIEW)), MAPS),
    (pa.array([LISTS, None, [], [None], LISTS], pa.list_(pa.list_view(VIEW))),
     [LISTS, None, [], [None], LISTS]),
    (pa.array([{"a": one} if one else None for one in LISTS],
              pa.struct([("a", pa.list_view(VIEW))])),
     [{"a": one} if one else None for one in LISTS]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "values"), COLUMNS, ids=lambda one: str(getattr(one, "type", ""))
)
@pytest.mark.parametrize("start", [0, 1, 3])
def test_values_stay_and_single_rows_can_be_taken(
    column: pa.Array, values: list, start: int
) -> None:
    got = taken(column[start:])
    got.validate(full=True)
    assert got.type == plain(column.type)
    assert got.to_pylist() == values[start:]
    assert got.take(pa.array([1])).to_pylist() == values[start + 1 : start + 2]
    assert pa.concat_arrays([got, pa.nulls(1, got.type)])[-1].as_py() is None


def test_what_is_plain_is_not_copied() -> None:
    column = pa.array(LISTS, pa.list_(pa.string()))
    assert taken(column) is column


ORDERED = [
    pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(),
    pa.decimal32(5, 1), pa.decimal64(9, 1), pa.decimal128(5, 1), pa.decimal256(50, 1),
    pa.date32(), pa.date64(), pa.time32("s"), pa.time64("us"), pa.timestamp("s"),
    pa.timestamp("us", "UTC"), pa.duration("s"), pa.month_day_nano_interval(), pa.string(),
    pa.large_string(), pa.binary(), pa.list_(pa.int8()), pa.struct([("a", pa.int8())]),
]  # fmt: skip


@pytest.mark.parametrize("kind", ORDERED, ids=str)
def test_what_counts_as_ordered_can_be_compared_and_sorted(kind: pa.DataType) -> None:
    column = pa.nulls(2, kind)
    try:
        pc.less_equal(column[:1], column[1:])
        pa.table({"a": column}).sort_by([("a", "ascending")])
    except pa.ArrowNotImplementedError:
        assert not has_order(kind)
    else:
        assert has_order(kind) == (not pa.types.is_binary(kind))  # bytes tell no order of a crawl


def test_types_that_cannot_be_carried() -> None:
    union = pa.sparse_union([pa.field("a", pa.int64())])
    opaque = pa.opaque(VIEW, "a", "b")
    assert not any(has_rows(kind) for kind in (union, pa.list_(union), opaque))
    assert all(has_rows(plain(column.type)) for column, _ in COLUMNS)
    assert has_rows(pa.uuid())


def test_text_beyond_2_gb_of_its_buffer() -> None:
    size = 1 << 31
    data = pa.py_buffer(np.zeros(size + 3, np.uint8))  # pages that nothing touches take no memory
    offsets = pa.py_buffer(np.array([0, size, size + 3], np.int64))
    column = pa.LargeStringArray.from_buffers(2, offsets, data)
    assert text(column[1:]).to_pylist() == ["\0" * 3]
