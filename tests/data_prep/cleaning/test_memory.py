"""Rows in memory that are large, or of kinds that Arrow has trouble with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from data_prep.cleaning import Rules, clean, memory
from data_prep.crawl.columns import conform
from data_prep.errors import UserError

RULES = Rules(min_frequency=1, min_tags=1, min_alphabetical=None)
N = 200
LISTS = [[f"t{i % 7}", "x" * 1000, "y"] for i in range(N)]
WORDS = pa.array([tag for tags in LISTS for tag in tags]).dictionary_encode()
KINDS = [
    pa.string(), pa.large_string(), pa.string_view(), pa.list_(pa.string()),
    pa.large_list(pa.large_string()), pa.list_view(pa.string_view()),
]  # fmt: skip


def in_pieces(tags: pa.Array, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Clean in batches of at most 20 kB; their lengths."""
    sizes = []

    def counted(batch: pa.RecordBatch, *rest: Any) -> Any:
        sizes.append(len(batch))
        return conform(batch, *rest)

    monkeypatch.setattr(memory, "BATCH_BYTES", 20_000)
    monkeypatch.setattr(memory, "conform", counted)
    cleaned = clean(pa.table({"image_id": range(N), "tags": tags}), RULES)
    assert cleaned.images["image_id"].to_pylist() == list(range(N))
    assert cleaned.images["tags"].to_pylist() == LISTS
    assert max(chunk.flatten().nbytes for chunk in cleaned.images["tags"].chunks) < 30_000
    return sizes


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_long_rows_come_in_small_batches(
    kind: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_text = kind in KINDS[:3]
    tags = pa.array([",".join(tags) for tags in LISTS] if is_text else LISTS, kind)
    sizes = in_pieces(tags, monkeypatch)
    assert sum(sizes) == N
    assert 8 <= min(sizes) <= max(sizes) < 20


def test_tags_in_codes_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = pa.ListArray.from_arrays(range(0, 3 * N + 1, 3), WORDS)
    assert in_pieces(tags, monkeypatch) == [N]


def test_rows_of_very_different_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BATCH_BYTES", 1000)
    tags = [["x" * 5000 if i == 70 else "x", "y"] for i in range(N)]
    cleaned = clean(pa.table({"image_id": range(N), "tags": tags}), RULES)
    assert cleaned.images["tags"].to_pylist() == tags


def test_no_batch_has_more_rows_than_a_batch_of_a_crawl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BATCH_ROWS", 60)
    monkeypatch.setattr(memory, "BATCH_BYTES", 1 << 30)
    rows = {"image_id": [*range(N - 1), None], "tags": LISTS}
    cleaned = clean(pa.table(rows), RULES)
    assert len(cleaned.images) == N - 1
    assert cleaned.rejects["detail"].to_pylist() == ["rows, row 200: no image id"]


def test_polars_categories() -> None:
    rows = {"image_id": ["a", "b"], "user_id": ["x", "y"], "tags": [["b", "a"], ["c", None]]}
    categories: Any = {
        "image_id": pl.Categorical, "user_id": pl.Categorical, "tags": pl.List(pl.Categorical)
    }  # fmt: skip
    cleaned = clean(pl.DataFrame(rows, schema_overrides=categories), RULES)
    assert cleaned.images["tags"].to_pylist() == [["b", "a"], ["c"]]


def test_ids_that_are_of_no_use_cost_their_rows() -> None:
    for ids, user, why in (
        (np.array([1, np.nan, 3]), 1, "no image id"),
        (np.array([1, 2.5, 3]), 1, "image id 2.5 is no whole number"),
        (np.array([1, 2**63, 3], np.uint64), 1, f"image id {2**63} exceeds int64"),
        (np.array([1, 2, 3]), 2.5, "user id 2.5 is no whole number"),
    ):
        rows = {"image_id": ids, "user_id": [1, user, 1], "tags": [["b"], ["a"], ["c"]]}
        cleaned = clean(pa.table(rows), RULES)
        assert cleaned.images["image_id"].to_pylist() == [1, 3]
        assert cleaned.rejects["reason"].to_pylist() == ["unreadable"]
        assert cleaned.rejects["detail"][0].as_py().startswith(f"rows, row 2: {why}")


def test_values_that_their_type_rules_out_cost_their_rows() -> None:
    days = pa.array([0, 1, 86_400_000], pa.int64()).view(pa.date64())
    spoilt = pa.array([b"a", b"b", b"\xff"], pa.binary()).view(pa.string())
    rows = {"image_id": [1, 2, 3], "tags": [["b"], ["a"], ["c"]], "day": days, "note": spoilt}
    cleaned = clean(pa.table(rows), RULES)
    assert cleaned.images["image_id"].to_pylist() == [1]
    why = "column 'day': date64[ms] 1 does not represent a whole number of days"
    assert cleaned.rejects["detail"].to_pylist() == [
        f"rows, row 2: {why}",
        "rows, row 3: invalid UTF-8",
    ]


@pytest.mark.parametrize(
    "rows", [pl.DataFrame({"a": [1]}).lazy(), [{"image_id": 1}], None, 5, "a.parquet"], ids=type
)
def test_what_is_no_table(rows: Any) -> None:
    with pytest.raises(UserError, match=r"is no table; .*Polars or pandas.*collect a LazyFrame"):
        clean(rows, RULES)


def test_a_column_of_values_of_several_kinds() -> None:
    rows = pd.DataFrame({"image_id": [1, 2], "tags": [["a"], ["b"]], "note": [1, "x"]})
    with pytest.raises(UserError, match=r"rows: .*; give every column values of one kind"):
        clean(rows, RULES)
