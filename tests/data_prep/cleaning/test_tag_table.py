"""Tags as numbers, their counts and ranks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cleaning.counting import alphabet_places, rank_tags
from data_prep.cleaning.tag_table import TagTable
from data_prep.errors import UserError
from data_prep.text import normalise
from tests.data_prep.cleaning.crawls import tag_lists


@given(st.lists(tag_lists, max_size=12), st.booleans(), st.integers(1, 5), st.integers(0, 3))
def test_encode(
    lists: list[list[str | None] | None], normalised: bool, size: int, skipped: int
) -> None:
    table = TagTable(normalised)
    padded = pa.array([["no", "y"]] * skipped + lists, pa.list_(pa.string()))[skipped:]
    codes = [
        code for n in range(0, len(lists), size)
        for code in table.encode(padded[n : n + size]).to_pylist()
    ]  # fmt: skip
    spelled = [
        list(dict.fromkeys(filter(None, (t and (normalise(t) if normalised else t) for t in tags))))
        for tags in (tags or [] for tags in lists)
    ]
    assert [[table.tags[code] for code in image] for image in codes] == spelled
    assert table.tags == list(dict.fromkeys(tag for tags in spelled for tag in tags))


def test_changes_are_counted_on_every_image() -> None:
    lists = [
        ["Café", "cafe\u0301", "café", "dog", "dog_"],
        ["DOG\u00a0", "potter’s", " ", "", None, "b", "B "],
        None,
        ["dog", "DOG\u00a0"],
    ]
    expected = {"case": 4, "space": 5, "unicode": 2, "empty": 3, "repeated": 5}
    plain = pa.array(lists, pa.list_(pa.string()))
    words = plain.flatten().dictionary_encode()
    encoded = pa.ListArray.from_arrays(plain.offsets, words, mask=plain.is_null())
    for array in (plain, encoded):
        table = TagTable(True)
        for _ in range(2):
            table.encode(array)
        assert table.changed == Counter({kind: 2 * count for kind, count in expected.items()})


def test_a_null_in_the_dictionary_is_no_tag() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["a", None, "A"]))
    table = TagTable(True)
    codes = table.encode(pa.ListArray.from_arrays([0, 3, 4], words))
    assert codes.to_pylist() == [[0], [0]]
    assert table.changed["empty"] == 2


def test_nothing_is_changed_unless_asked() -> None:
    table = TagTable(False)
    codes = table.encode(pa.array([["A", "a", " ", "", None, "A"]]))
    assert codes.to_pylist() == [[0, 1, 2]]
    assert +table.changed == Counter(empty=2, repeated=1)


def test_equal_counts_are_in_alphabetical_order() -> None:
    tags = pa.array(["\U0001f436", "b", "Z", "\uff5e", "a", "rare"])
    vocabulary = rank_tags(tags, pa.array([3, 3, 3, 3, 7, 2]), 3)
    assert vocabulary.to_pydict() == {
        "tag": ["a", "Z", "b", "\uff5e", "\U0001f436"],
        "count": [7, 3, 3, 3, 3],
        "rank": [1, 2, 3, 4, 5],
    }


def test_no_tag_is_frequent_enough() -> None:
    with pytest.raises(
        UserError, match=r"clean.min_frequency=4: no tag .*most frequent, b, is on 3"
    ):
        rank_tags(pa.array(["a", "b"]), pa.array([1, 3]), 4)
    with pytest.raises(UserError, match="there are no tags at all"):
        rank_tags(pa.array([], pa.string()), pa.array([], pa.int64()), 1)


@given(st.lists(st.text(max_size=3), unique=True))
def test_alphabet_places(tags: list[str]) -> None:
    places = alphabet_places(pa.array(tags, pa.string()))
    assert [tags[n] for n in np.argsort(places)] == sorted(tags)
