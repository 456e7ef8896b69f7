"""The cleaner against the naive one, on small random crawls and on 100,000 generated rows."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cleaning import Cleaned, Rules, clean, spool
from data_prep.errors import UserError
from data_prep.generator import CrawlSettings, generate_crawl
from tests.data_prep.cleaning.crawls import Row, any_rules, as_table, check, crawls
from tests.oracles import cleaning as oracle

ORDERS = st.sampled_from([None, None, "time"])


@settings(max_examples=400, deadline=None)
@given(crawls(), any_rules(), ORDERS, st.integers(1, 9))
def test_clean_is_the_oracle(
    crawl: tuple[list[Row], pa.Schema], rules: Rules, order_by: str | None, chunk: int
) -> None:
    rows, schema = crawl
    column = order_by or "image_id"
    expected = oracle.clean(rows, rules, column)
    table = as_table(rows, schema, chunk)
    if expected.vocabulary:
        check(clean(table, rules, order_by=order_by), expected, rules)
    else:
        with pytest.raises(UserError, match="min_frequency|holds no image"):
            clean(table, rules, order_by=order_by)


@settings(max_examples=100, deadline=None)
@given(crawls(), any_rules(), ORDERS, st.integers(1, 6), st.integers(1, 6))
def test_sizes_on_disk_change_nothing(
    crawl: tuple[list[Row], pa.Schema],
    rules: Rules,
    order_by: str | None,
    batch_rows: int,
    partition_rows: int,
) -> None:
    rows, schema = crawl
    table = as_table(rows, schema, 5)
    if not oracle.clean(rows, rules).vocabulary:
        return
    usual = clean(table, rules, order_by=order_by)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "BATCH_ROWS", batch_rows)
        patch.setattr(spool, "PARTITION_ROWS", partition_rows)
        patch.setattr(spool, "LEAST_ROWS", 1)
        cut = clean(table, rules, order_by=order_by)
    _check_same(usual, cut)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("compare_to", ["seen", "kept"])
def test_shuffled_images_of_few_users_in_many_small_pieces(
    seed: int, compare_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the rows are near-duplicates, far from what they resemble."""
    chance = random.Random(seed)
    ids = [str(n) for n in range(80)]
    chance.shuffle(ids)
    rows = [
        {"image_id": name, "user_id": chance.choice("uvw"), "tags": chance.sample("abcdefgh", 5)}
        for name in ids
    ]
    monkeypatch.setattr(spool, "BATCH_ROWS", 3)
    monkeypatch.setattr(spool, "PARTITION_ROWS", 20)
    monkeypatch.setattr(spool, "LEAST_ROWS", 1)
    rules = Rules(min_frequency=1, compare_to=compare_to)  # type: ignore[arg-type]
    cleaned = clean(pa.Table.from_pylist(rows), rules)
    check(cleaned, oracle.clean(rows, rules), rules)
    assert cleaned.funnel["dropped"]["near_duplicate"] > 30


def _check_same(one: Cleaned, other: Cleaned) -> None:
    assert str(one.images.to_pylist()) == str(other.images.to_pylist())  # NaN is NaN
    assert str(one.rejects.to_pylist()) == str(other.rejects.to_pylist())
    assert one.vocabulary.equals(other.vocabulary)
    assert one.funnel == other.funnel


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    shape = CrawlSettings(40_000, seed=3, distinct_tags=8_000, users=1_200, hot_user=0.01)
    return pa.Table.from_batches(generate_crawl(shape))


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        (40_000, Rules(min_frequency=30)),
        (
            20_000,
            Rules(
                min_frequency=10, first_tags=6, max_shared_first_tags=2,
                compare_to="kept", order_tags="all", count_tags="all",
            ),
        ),
    ],
    ids=["the paper's rules", "other readings"],
)  # fmt: skip
def test_generated_crawl(generated: pa.Table, rows: int, rules: Rules) -> None:
    crawl = generated[:rows]
    cleaned = clean(crawl, rules)
    check(cleaned, oracle.clean(crawl.to_pylist(), rules), rules)
    for reason in ("alphabetical", "near_duplicate"):
        assert cleaned.funnel["dropped"][reason] > rows / 20


def test_generated_crawl_shuffled_over_many_partitions(
    generated: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crawl order is that of the ids, wherever the rows stand and are kept meanwhile."""
    rules = Rules(min_frequency=30)
    usual = clean(generated, rules)
    order = list(range(len(generated)))
    random.Random(0).shuffle(order)
    monkeypatch.setattr(spool, "BATCH_ROWS", 1_600)
    monkeypatch.setattr(spool, "PARTITION_ROWS", 3_600)
    shuffled = clean(generated.take(order), rules)
    assert shuffled.images.sort_by("image_id").equals(usual.images)
    assert shuffled.rejects.sort_by("image_id").equals(usual.rejects)
    assert shuffled.vocabulary.equals(usual.vocabulary)
    assert shuffled.funnel == usual.funnel
