"""Train and val: by user, stable, about as large as asked for."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.shards.split import LEFT_OUT, split_by_column, split_by_hash

IDS = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)


@given(IDS, IDS, st.randoms(use_true_random=False))
def test_rows_that_are_added_or_moved_change_no_other(
    old: list[int], new: list[int], random: object
) -> None:
    mixed = old + new
    random.shuffle(mixed)  # type: ignore[attr-defined]
    before = dict(zip(old, split_by_hash(pa.array(old), None, 0.4, 7), strict=True))
    after = dict(zip(mixed, split_by_hash(pa.array(mixed), None, 0.4, 7), strict=True))
    assert all(after[one] == before[one] for one in old)


def test_no_user_is_in_both_splits() -> None:
    random = np.random.default_rng(0)
    users = [f"u{n}" for n in random.integers(0, 300, 5000)]
    splits = split_by_hash(pa.array(range(5000)), pa.array(users), 0.3, 0)
    seen = {(user, int(split)) for user, split in zip(users, splits, strict=True)}
    assert len(seen) == len(set(users))
    assert {split for _, split in seen} == {0, 1}


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_share(share: float) -> None:
    splits = split_by_hash(pa.array(range(20_000)), None, share, 0)
    deviation = (share * (1 - share) / 20_000) ** 0.5
    assert abs(splits.mean() - share) <= 4 * deviation


def test_where_there_is_no_user_the_image_counts() -> None:
    images, nobody = pa.array(range(1000)), pa.array([None] * 1000, pa.string())
    np.testing.assert_array_equal(
        split_by_hash(images, nobody, 0.5, 0), split_by_hash(images, None, 0.5, 0)
    )
    users = pa.array(["ann" if n % 2 else None for n in range(1000)])
    splits = split_by_hash(images, users, 0.5, 0)
    assert len(set(splits[1::2].tolist())) == 1
    assert len(set(splits[::2].tolist())) == 2


def test_seed_and_spelling() -> None:
    ids = list(range(1000))
    numbers = split_by_hash(pa.array(ids), None, 0.5, 0)
    texts = split_by_hash(pa.array([str(one) for one in ids]), None, 0.5, 0)
    np.testing.assert_array_equal(numbers, texts)
    assert (numbers != split_by_hash(pa.array(ids), None, 0.5, 1)).any()


def test_known_draws() -> None:
    """A split must stay the same in later versions: models were judged on it."""
    splits = split_by_hash(pa.array(range(12)), None, 0.5, 0)
    assert splits.tolist() == [0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0]


def test_column() -> None:
    splits, others = split_by_column(pa.array(["val", "train", "test", None, "test", "train"]))
    assert splits.tolist() == [1, 0, LEFT_OUT, LEFT_OUT, LEFT_OUT, 0]
    assert others == {"test": 2, "None": 1}
