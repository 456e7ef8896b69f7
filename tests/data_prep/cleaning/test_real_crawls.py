"""Real tags: hashtags of HARRISON (57,383 photos, one a line, no users)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from data_prep.cleaning import Rules, clean
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
    # People do not sort hashtags: such lists are as rare as chance has it (1 in 120 of five).
    assert 100 < funnel["dropped"]["alphabetical"] < 200
    assert cleaned.vocabulary["tag"][:2].to_pylist() == ["love", "friend"]


def test_hashtags_of_one_user(hashtags: pa.Table) -> None:
    """As if one person had taken the first 12,000: alike lists do occur."""
    rules = Rules(min_frequency=100)
    rows = hashtags.append_column("user_id", pa.array([1] * len(hashtags)))[:12_000]
    cleaned = clean(rows, rules)
    check(cleaned, oracle.clean(rows.to_pylist(), rules), rules)
    assert cleaned.funnel["dropped"]["near_duplicate"] > 100
