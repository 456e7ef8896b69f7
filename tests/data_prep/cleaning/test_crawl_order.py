"""What is learnt about the order of a column, batch by batch."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cleaning.crawl_order import CrawlOrder

keys = st.one_of(
    st.lists(st.none() | st.integers(-3, 9), max_size=6),
    st.lists(st.none() | st.sampled_from(["1", "2", "9", "10", "010", "11"]), max_size=6),
    st.lists(st.none() | st.sampled_from(["1", "10", "9", "x", "", "\uff5e", "😀"]), max_size=6),
)


def learn(values: list[Any], kind: pa.DataType, size: int) -> CrawlOrder:
    order = CrawlOrder()
    for start in range(0, len(values), size):
        order.add(pa.array(values[start : start + size], kind))
    return order


@given(keys, st.booleans(), st.integers(1, 4))
def test_order(values: list[Any], prepare: bool, size: int) -> None:
    texts = any(isinstance(value, str) for value in values)
    numeric = all(value is None or str(value).lstrip("-").isdecimal() for value in values)

    def key(value: Any) -> Any:
        return int(value) if numeric else value

    if prepare:
        values = sorted({value for value in values if value is not None}, key=key)
    order = learn(values, pa.string() if texts else pa.int64(), size)
    pairs = list(itertools.pairwise(values))
    whole = None not in values
    assert order.sorted == (whole and all(key(a) <= key(b) for a, b in pairs))
    assert order.distinct == (whole and all(key(a) < key(b) for a, b in pairs))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", "9", "009"], [1, 2, 0]),
        (["10", "9", "x"], [0, 1, 2]),
        (["10", None, "9"], [2, 0, 1]),
        (["9" * 18, "1" + "0" * 17], [1, 0]),
        (["1" + "0" * 19, "9" * 19], [1, 0]),  # beyond 64 bits
        (["9" * 38, "1" + "0" * 38], [1, 0]),  # too long for a number: as text
        (["٣", "1"], [1, 0]),  # digits of other scripts make no number
    ],
)
def test_sort_keys(values: list[str | None], expected: list[int]) -> None:
    array = pa.array(values, pa.string())
    order = learn(values, pa.string(), 1)
    assert pc.sort_indices(order.sort_keys(array)).to_pylist() == expected


def test_times_and_floats() -> None:
    days = [datetime.datetime(2016, 1, day) for day in (1, 2, 2)]
    order = learn(days, pa.timestamp("s"), 2)
    assert (order.sorted, order.distinct) == (True, False)
    assert not learn([1.0, float("nan"), 2.0], pa.float64(), 1).sorted


def test_a_word_after_many_numbers_makes_all_of_them_words() -> None:
    order = learn(["8", "9", "10"], pa.string(), 2)
    assert (order.sorted, order.distinct) == (True, True)
    order.add(pa.array(["x"]))
    assert (order.sorted, order.distinct) == (False, False)
