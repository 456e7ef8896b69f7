"""Near-duplicates by subsets against the comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cleaning import Rules
from data_prep.cleaning.near_duplicates import near_duplicates

WIDTH = 5


def by_pairs(users: np.ndarray, first: np.ndarray, rules: Rules) -> list[int]:
    """Give for each image the first one that it resembles, or -1."""
    limit = rules.max_shared_first_tags
    assert limit is not None
    sets = [set(row.tolist()) - {-1} for row in first]
    found: list[int] = []
    for n in range(len(users)):
        alike = [m for m in range(n) if users[m] == users[n] and len(sets[m] & sets[n]) > limit]
        found.append(next((m for m in alike if rules.compare_to == "seen" or found[m] < 0), -1))
    return found


@st.composite
def images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Users and first tags; large tag numbers too."""
    tags = draw(st.sampled_from([range(6), range(9), [0, 1, 2**31 - 1, 2**30, 65536, 7]]))
    row = st.lists(st.sampled_from(tags), unique=True, max_size=WIDTH)
    rows = draw(st.lists(row, max_size=25))
    users = draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    first = np.full((len(rows), WIDTH), -1, np.int32)
    for n, values in enumerate(rows):
        first[n, : len(values)] = values
    return np.array(users, np.int32), first


def check(users: np.ndarray, first: np.ndarray, rules: Rules) -> int:
    like = near_duplicates(users, first, rules)
    assert like.dtype == np.int64
    assert like.tolist() == by_pairs(users, first, rules)
    return int((like >= 0).sum())


@settings(deadline=None, max_examples=300)
@given(images(), st.integers(0, WIDTH - 1), st.sampled_from(["seen", "kept"]))
def test_pairs(crawl: tuple[np.ndarray, np.ndarray], limit: int, compare_to: str) -> None:
    check(*crawl, Rules(max_shared_first_tags=limit, compare_to=compare_to))  # type: ignore[arg-type]


def test_the_rule_can_be_left_out() -> None:
    first = np.tile(np.arange(5, dtype=np.int32), (3, 1))
    like = near_duplicates(np.zeros(3, np.int32), first, Rules(max_shared_first_tags=None))
    assert like.tolist() == [-1, -1, -1]


def test_seen_and_kept_differ() -> None:
    """The third image is like the second alone, which is dropped."""
    first = np.array([[1, 2, 3, 4, 5], [6, 2, 3, 4, 5], [6, 7, 3, 4, 5]], np.int32)
    users = np.zeros(3, np.int32)
    assert near_duplicates(users, first, Rules()).tolist() == [-1, 0, 1]
    assert near_duplicates(users, first, Rules(compare_to="kept")).tolist() == [-1, 0, -1]


@pytest.mark.parametrize("compare_to", ["seen", "kept"])
def test_a_user_of_20_000_images(compare_to: str) -> None:
    """All pairs by matrix product, which is another way than subsets."""
    random = np.random.default_rng(0)
    count, tags = 20_000, 60
    first = np.argsort(random.random((count, tags)), axis=1)[:, :WIDTH].astype(np.int32)
    rules = Rules(compare_to=compare_to)  # type: ignore[arg-type]
    like = near_duplicates(np.full(count, 9, np.int64), first, rules)
    has = np.zeros((count, tags), np.float32)
    np.put_along_axis(has, first.astype(np.int64), 1, axis=1)
    compared = np.ones(count, bool)  # those that later images are compared to
    for start in range(0, count, 1000):
        block = has[start : start + 1000]
        alike = block @ has[: start + 1000].T > 3.5
        for n in range(start, start + 1000):
            row = alike[n - start, :n] & compared[:n]
            assert like[n] == (row.argmax() if row.any() else -1)
            compared[n] = compare_to == "seen" or not row.any()
    assert 500 < (like >= 0).sum() < count - 500


def test_many_users_of_any_number() -> None:
    random = np.random.default_rng(1)
    users = random.choice([-(2**62), -1, 0, 5, 2**62], 300)
    first = np.argsort(random.random((300, 8)), axis=1)[:, :WIDTH].astype(np.int32)
    assert check(users, first, Rules()) > 50
