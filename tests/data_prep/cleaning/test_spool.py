"""Rows on disk: what is written is read, in order, and equal keys meet."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cleaning import spool
from data_prep.cleaning.spool import Partitions, Spool, hash_keys
from data_prep.cleaning.user_groups import RowReader

NUMBERS = pa.schema({"row": pa.int64()})


def rows(*numbers: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(numbers, pa.int64())], schema=NUMBERS)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 23), max_size=6), size=st.integers(1, 30))
def test_batches_are_of_one_size(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], size: int
) -> None:
    whole = rows(*range(23))
    bounds = [0, *sorted(cuts), 23]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "BATCH_ROWS", size)
        file = Spool(tmp_path_factory.mktemp("spool") / "rows.arrow", NUMBERS)
        for start, end in itertools.pairwise(bounds):
            file.write(whole[start:end])
        file.close()
    for _ in range(2):  # it can be read again
        batches = list(file)
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert pa.Table.from_batches(batches).equals(pa.Table.from_batches([whole]))
    assert len(file) == 23


def test_an_empty_spool(tmp_path: Path) -> None:
    file = Spool(tmp_path / "rows.arrow", NUMBERS)
    file.write(rows())
    file.close()
    assert list(file) == []
    assert len(file) == 0


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_equal_keys_meet_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType, size: int
) -> None:
    monkeypatch.setattr(spool, "PARTITION_ROWS", size)
    keys = np.random.default_rng(0).integers(-20, 20, 90)
    schema = pa.schema({"row": pa.int64(), "key": kind})
    partitions = Partitions(tmp_path, schema, "key", 90)
    table = pa.table({"row": np.arange(90), "key": pa.array(keys).cast(kind)}, schema=schema)
    for batch in table.to_batches(13):
        partitions.write(batch)
    parts = list(partitions)
    assert len(parts) == -(-90 // size)
    assert (len([part for part in parts if len(part)]) > 1) == (size < 90)
    assert pa.concat_tables(parts).sort_by("row").equals(table)
    homes = [set(part["key"].to_pylist()) for part in parts]
    assert sum(map(len, homes)) == len(set(keys.tolist()))  # no key has two
    for part in parts:
        assert part["row"].to_pylist() == sorted(part["row"].to_pylist())


@given(
    st.lists(st.text(max_size=4), min_size=1),
    st.sampled_from([pa.string(), pa.large_string()]),
    st.data(),
)
def test_a_text_has_one_hash(texts: list[str], kind: pa.DataType, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(texts)))
    whole = hash_keys(pa.array(texts))
    assert whole.dtype == np.uint64
    assert hash_keys(pa.array(texts, kind)[start:]).tolist() == whole[start:].tolist()
    alone = [hash_keys(pa.array([text]))[0] for text in texts]
    assert alone == whole.tolist()
    assert len(set(alone)) == len(set(texts))


def test_hashes_spread() -> None:
    """Ids that come in steps, and names that differ in little, fill all partitions alike."""
    numbers = np.arange(0, 64_000, 64)
    for keys in (pa.array(numbers), pa.array(-numbers), pa.array([f"user{n}" for n in numbers])):
        assert np.bincount((hash_keys(keys) % np.uint64(5)).astype(int)).min() > 150


def test_hash_of_fnv_1a() -> None:
    """By the published constants (Fowler, Noll, Vo), with its high bits mixed in."""
    for text in ("", "a", "user", "é"):
        expected = 14695981039346656037
        for byte in text.encode():
            expected = (expected ^ byte) * 1099511628211 % 2**64
        assert int(hash_keys(pa.array([text]))[0]) == expected ^ (expected >> 32)


def test_row_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BATCH_ROWS", 2)
    written = [[0, 3, 4, 9, 10, 11], [], [2, 5]]
    spools = []
    for number, numbers in enumerate(written):
        spools.append(Spool(tmp_path / f"{number}.arrow", NUMBERS))
        spools[-1].write(rows(*numbers))
        spools[-1].close()
    reader = RowReader(spools)
    given_out = [[t["row"].to_pylist() for t in reader.until(row)] for row in (0, 4, 4, 10, 12)]
    assert given_out == [
        [[], [], []], [[0, 3], [], [2]], [[], [], []], [[4, 9], [], [5]], [[10, 11], [], []],
    ]  # fmt: skip


def test_long_rows_come_in_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BATCH_BYTES", 10_000)
    schema = pa.schema({"text": pa.string()})
    file = Spool(tmp_path / "rows.arrow", schema)
    table = pa.table({"text": ["x" * 900] * 100}, schema=schema)
    for batch in table.to_batches(5):
        file.write(batch)
    file.close()
    sizes = [batch.nbytes for batch in file]
    assert len(sizes) > 5
    assert max(sizes) < 15_000  # a batch as it was written beyond the limit at most
    assert pa.Table.from_batches(file).equals(table)


def test_many_partitions_hold_little_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BATCH_ROWS", 200)
    monkeypatch.setattr(spool, "LEAST_ROWS", 1)
    monkeypatch.setattr(spool, "PARTITION_ROWS", 50)
    schema = pa.schema({"row": pa.int64()})
    partitions = Partitions(tmp_path, schema, "row", 1000)  # 20 of them
    written = 0
    for start in range(0, 1000, 100):
        partitions.write(pa.table({"row": range(start, start + 100)}, schema).to_batches()[0])
        written = sum(part._waiting_rows for part in partitions._spools)
        assert written <= 200
    assert sum(map(len, partitions)) == 1000
