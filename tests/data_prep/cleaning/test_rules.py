"""The thresholds, and the two rules that judge one image alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cleaning import Rules, clean
from data_prep.cleaning.rules import (
    ALPHABETICAL,
    FEW_TAGS,
    KEPT,
    UNREADABLE,
    is_alphabetical,
    judge,
)
from data_prep.errors import UserError

# The paper's example lists (supplement, Fig. 12), as far as they are printed.
BOOKS = """book, bunch, correspondence, erudition, group, heap, information, journal, journalist,
    knowledge, library, literature, magazine, media, old, page, paper, periodical, pile, press,
    publish, reading, stack, subscription"""
FRIENDS = """smiling, friends, men, women, travel, vacation, book, guide, holidays, traveling,
    tourism, tourists, travelers, trip, journey, sightseeing, tour, bus, together, summer,
    friendship, sunglasses, eyewear, shades, happiness, young, people, person, team, hanging, out,
    having, fun, lifestyle"""
MONEY = """adult, alluring, american, banknote, business, businessman, buying, cash, catch,
    caucasian, credit, currency, dollar, economy, excited, finance, financial, happy, holding,
    hundred, loan, male, man, money"""


def test_lists_of_the_paper() -> None:
    rows = pa.table({"image_id": [1, 2, 3], "tags": [BOOKS, FRIENDS, MONEY]})
    cleaned = clean(rows, Rules(min_frequency=1))
    assert cleaned.images["image_id"].to_pylist() == [2]
    tags = cleaned.images["tags"][0].as_py()
    assert len(tags) == 34
    assert tags[:3] + tags[-3:] == ["smiling", "friends", "men", "having", "fun", "lifestyle"]
    assert cleaned.rejects["image_id"].to_pylist() == [1, 3]
    assert cleaned.rejects["reason"].to_pylist() == ["alphabetical"] * 2


def test_defaults_are_the_paper() -> None:
    rules = Rules()
    assert (rules.min_frequency, rules.min_tags) == (1000, 5)
    assert (rules.first_tags, rules.max_shared_first_tags, rules.compare_to) == (5, 3, "seen")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_frequency": 0}, "clean.min_frequency=0: give 1 or more"),
        ({"min_tags": 0}, "clean.min_tags=0: give 1 or more"),
        ({"min_alphabetical": 1}, "clean.min_alphabetical=1: give 2 or more"),
        ({"first_tags": 0}, "clean.first_tags=0: give 1 or more"),
        ({"first_tags": 11}, "clean.first_tags=11: give 8 or fewer"),
        ({"max_shared_first_tags": -1}, "clean.max_shared_first_tags=-1: give 0 or more"),
        ({"max_shared_first_tags": 5}, "of 5 first tags no image can share more"),
        ({"first_tags": 3}, "clean.max_shared_first_tags=3: of 3 first tags"),
        ({"min_tags": 2.5}, "clean.min_tags=2.5: give a whole number"),
        ({"min_tags": True}, "clean.min_tags=True: give a whole number"),
        ({"min_frequency": None}, "clean.min_frequency=None: give a whole number"),
        ({"min_alphabetical": "2"}, "clean.min_alphabetical=2: give a whole number or null"),
        ({"normalise": 1}, "clean.normalise=1: give true or false"),
        ({"compare_to": "all"}, "clean.compare_to=all: give seen or kept"),
        ({"count_tags": None}, "clean.count_tags=None: give vocabulary or all"),
        ({"order_tags": "kept"}, "clean.order_tags=kept: give vocabulary or all"),
    ],
)
def test_unusable_values(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Rules(**values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shared", [None, 0, 2])
def test_usable_values(shared: int | None) -> None:
    Rules(first_tags=3, max_shared_first_tags=shared, min_alphabetical=None)


@given(st.lists(st.integers(0, 9)))
def test_is_alphabetical(places: list[int]) -> None:
    assert is_alphabetical(np.array(places, np.int32)) == (places == sorted(places))


def judged(tags: list[list[int]], rules: Rules, reasons: np.ndarray) -> list[list[int]]:
    """Judge images; tags 0 … 3 are in the vocabulary, 4 … 9 are not, higher numbers are later."""
    code_of = np.array([0, 1, 2, 3, *[-1] * 6])
    lists = pa.array(tags, pa.list_(pa.int32()))
    return judge(lists, code_of, np.arange(10, dtype=np.int32), rules, reasons).tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [FEW_TAGS, FEW_TAGS, KEPT, FEW_TAGS, ALPHABETICAL]),
        ({"count_tags": "all"}, [ALPHABETICAL, ALPHABETICAL, KEPT, FEW_TAGS, ALPHABETICAL]),
        ({"order_tags": "all"}, [FEW_TAGS, FEW_TAGS, KEPT, FEW_TAGS, KEPT]),
        ({"count_tags": "all", "order_tags": "all"}, [KEPT, ALPHABETICAL, KEPT, FEW_TAGS, KEPT]),
        ({"min_alphabetical": 4}, [FEW_TAGS, FEW_TAGS, KEPT, FEW_TAGS, KEPT]),
        ({"min_alphabetical": None, "count_tags": "all"}, [KEPT, KEPT, KEPT, FEW_TAGS, KEPT]),
    ],
)
def test_readings(values: dict[str, Any], expected: list[int]) -> None:
    tags = [[9, 0, 1], [0, 1, 9], [2, 1, 0], [7, 8, 6], [9, 1, 2, 3]]
    reasons = np.zeros(5, np.uint8)
    judged(tags, Rules(min_tags=3, **values), reasons)
    assert reasons.tolist() == expected


def test_first_tags() -> None:
    reasons = np.array([KEPT, UNREADABLE, KEPT], np.uint8)
    tags = [[9, 3, 2, 8, 1], [3, 2, 1], [3, 2]]
    rules = Rules(min_tags=1, first_tags=3, max_shared_first_tags=2)
    assert judged(tags, rules, reasons) == [[3, 2, 1], [-1] * 3, [3, 2, -1]]
    assert reasons.tolist() == [KEPT, UNREADABLE, KEPT]
    everything = Rules(min_tags=1, first_tags=3, max_shared_first_tags=2, order_tags="all")
    assert judged(tags, everything, reasons)[0] == [9, 3, 2]


def test_slices_are_judged_as_they_stand() -> None:
    tags = pa.array([[9], [2, 1, 0], [0, 1, 2], [3]], pa.list_(pa.int32()))[1:3]
    reasons = np.zeros(2, np.uint8)
    code_of = np.array([0, 1, 2, 3, *[-1] * 6])
    judge(tags, code_of, np.arange(10, dtype=np.int32), Rules(min_tags=3), reasons)
    assert reasons.tolist() == [KEPT, ALPHABETICAL]
