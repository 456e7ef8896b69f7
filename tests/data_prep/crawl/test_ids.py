"""Ids of every type, and those that are of no use."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.data_prep.crawl.reading import read_all, types, write_parquet


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([1, 2, 3, 4], pa.uint8()), [1, 2, 3, 4]),
        (pa.array([1, 2, 3, 4], pa.uint64()), [1, 2, 3, 4]),
        (pa.array([1.0, 2.0, -3.0, 2.0**40]), [1, 2, -3, 2**40]),
        (pa.array(["a", "b", "a", "ü"]).dictionary_encode(), ["a", "b", "a", "ü"]),
        (pa.array(["a", "b", "a", "ü"], pa.large_string()), ["a", "b", "a", "ü"]),
        (pa.array([5, 6, 5, 7]).dictionary_encode(), [5, 6, 5, 7]),
    ],
)
def test_ids_are_int64_or_text(ids: pa.Array, expected: list, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"image_id": ids, "user_id": ids})
    rows, _ = read_all(path)
    assert [row["image_id"] for row in rows] == expected
    kind = pa.string() if isinstance(expected[0], str) else pa.int64()
    assert types(path)["image_id"] == types(path)["user_id"] == kind


def test_users_as_pandas_writes_them(tmp_path: Path) -> None:
    users = pa.array(np.array([1.0, np.nan, 12345678901.0, np.nan]))
    rows, _ = read_all(write_parquet(tmp_path / "a.parquet", {"user_id": users}))
    assert [row["user_id"] for row in rows] == [1, None, 12345678901, None]


@pytest.mark.parametrize("column", ["image_id", "user_id"])
@pytest.mark.parametrize("number", [2.5, float("inf"), float("-inf"), -0.5])
def test_an_id_that_is_no_whole_number_costs_its_row(
    column: str, number: float, tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "a.parquet", {column: pa.array([1.0, number, 4.0, 2.0])})
    rows, lost = read_all(path)
    assert [row[column] for row in rows] == [1, 4, 2]
    reason = f"{column.replace('_', ' ')} {number} is no whole number"
    assert lost == [("a.parquet", 2, reason, None)]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_whole_numbers_that_a_float_may_have_rounded(kind: type, tmp_path: Path) -> None:
    first = next(2**n for n in range(64) if kind(2**n) == kind(2**n + 1))  # has a twin
    ids = pa.array(np.array([first, first - 1, -first, 1 - first], kind))
    rows, lost = read_all(write_parquet(tmp_path / "a.parquet", {"image_id": ids}))
    assert [row["image_id"] for row in rows] == [first - 1, 1 - first]
    assert [(row, reason.split(";")[1]) for _, row, reason, _ in lost] == [
        (row, " write ids as int64 or as text") for row in (1, 3)
    ]
    assert lost[0][2].startswith(f"image id {first} may be rounded")


@pytest.mark.parametrize("column", ["image_id", "user_id"])
def test_ids_beyond_int64_cost_their_rows(column: str, tmp_path: Path) -> None:
    ids = pa.array([2**63, 2**63 - 1, 2**64 - 1, 5], pa.uint64())
    rows, lost = read_all(write_parquet(tmp_path / "a.parquet", {column: ids}))
    assert [row[column] for row in rows] == [2**63 - 1, 5]
    what = column.replace("_", " ")
    assert lost == [
        ("a.parquet", row, f"{what} {number} exceeds int64; write ids as text", None)
        for row, number in ((1, 2**63), (3, 2**64 - 1))
    ]


def test_no_image_id_as_pandas_writes_it(tmp_path: Path) -> None:
    ids = pa.array(np.array([1.0, np.nan, 3.0, 0.5]))
    rows, lost = read_all(write_parquet(tmp_path / "a.parquet", {"image_id": ids}))
    assert [row["image_id"] for row in rows] == [1, 3]
    assert [(row, reason) for _, row, reason, _ in lost] == [
        (2, "no image id"),
        (4, "image id 0.5 is no whole number"),
    ]


def test_no_id_is_of_use(tmp_path: Path) -> None:
    rows, lost = read_all(write_parquet(tmp_path / "a.parquet", {"image_id": [0.5] * 4}))
    assert rows == []
    assert [row for _, row, _, _ in lost] == [1, 2, 3, 4]


def test_rows_without_an_image_id(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"image_id": [5, None, 6, None]}, row_group_size=2)
    rows, lost = read_all(path)
    assert [row["image_id"] for row in rows] == [5, 6]
    assert lost == [("a.parquet", row, "no image id", None) for row in (2, 4)]
