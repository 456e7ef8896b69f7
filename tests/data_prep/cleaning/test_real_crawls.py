"""Real tags: HARRISON (hashtags of 57,383 photos, one photo a line, no users) and captions."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from data_prep.captions import CaptionTagger, open_captions, photos
from data_prep.cleaning import Rules, clean
from data_prep.crawl import Batch
from tests.data_prep.cleaning.crawls import check
from tests.oracles import cleaning as oracle

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def hashtags(real_data: Path) -> pa.Table:
    text = (real_data / "harrison_tags" / "tag_list.txt").read_text(encoding="utf-8")
    lists = [line.split(" ") for line in text.splitlines()]
    return pa.table({"image_id": range(1, len(lists) + 1), "tags": lists})


def test_hashtags(hashtags: pa.Table) -> None:
    rules = Rules(min_frequency=100)
    cleaned = clean(hashtags, rules)
    check(cleaned, oracle.clean(hashtags.to_pylist(), rules), rules)
    funnel = cleaned.funnel
    assert funnel["input"] == 57_383
    assert funnel["distinct_tags"] == 997  # as its authors say
    assert funnel["dropped"]["few_tags"] > 30_000  # 4.5 tags an image
    # Hardly anybody sorts hashtags; chance alone sorts 61 of these lists (1 in 120 of five).
    assert 61 < funnel["dropped"]["alphabetical"] < 200
    assert cleaned.vocabulary["tag"][:2].to_pylist() == ["love", "friend"]


def test_hashtags_of_one_user(hashtags: pa.Table) -> None:
    """As if one person had taken the first 12,000: alike lists do occur."""
    rules = Rules(min_frequency=100)
    rows = hashtags.append_column("user_id", pa.array([1] * len(hashtags)))[:12_000]
    cleaned = clean(rows, rules)
    check(cleaned, oracle.clean(rows.to_pylist(), rules), rules)
    assert cleaned.funnel["dropped"]["near_duplicate"] > 100


def test_captions(real_data: Path) -> None:
    crawl = open_captions(str(real_data / "flickr8k_train" / "captions.csv"))
    first = next(crawl.read(crawl.parts[0]))
    batch = photos([Batch(first.rows[:2500], first.unreadable)], CaptionTagger()).rows
    rows = pa.Table.from_batches([batch])
    rules = Rules(min_frequency=5, min_tags=3, min_alphabetical=None)
    cleaned = clean(rows, rules)
    check(cleaned, oracle.clean(rows.to_pylist(), rules), rules)
    assert cleaned.funnel["input"] == 500
    assert cleaned.funnel["kept"] > 470  # of photos with five captions each
    assert {"man", "dog"} == set(cleaned.vocabulary["tag"][:2].to_pylist())
