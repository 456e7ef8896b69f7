"""What the cleaner is measured against: the rules in plain Python, and in pandas.

Neither writes anything, so the comparison favours them.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import combinations
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from data_prep.cleaning import Rules
from data_prep.text import normalise
from tests.oracles.cleaning import clean as clean_naively


def with_pandas(path: str, min_frequency: int) -> dict[str, Any]:
    """Clean with pandas, every step on whole columns."""
    rows = pq.read_table(path, columns=["image_id", "user_id", "tags"]).to_pandas()
    tags = rows.explode("tags")[["image_id", "user_id", "tags"]].dropna()
    spellings = tags["tags"].astype("category")
    names = pd.Series([normalise(name) for name in spellings.cat.categories])
    tags["tags"] = names.to_numpy()[spellings.cat.codes]
    tags = tags[tags["tags"] != ""].drop_duplicates(["image_id", "tags"])
    counts = tags["tags"].value_counts()
    vocabulary = counts[counts >= min_frequency]
    tags = tags[tags["tags"].isin(vocabulary.index)]

    many = tags.groupby("image_id")["tags"].transform("size") >= 5
    tags = tags[many]
    falls = tags["tags"] < tags["tags"].shift()
    falls &= tags["image_id"] == tags["image_id"].shift()
    ordered = ~falls.groupby(tags["image_id"]).transform("any")
    few = len(rows) - tags["image_id"].nunique()
    alphabetical = tags.loc[ordered, "image_id"].nunique()
    tags = tags[~ordered]

    first = tags[tags.groupby("image_id").cumcount() < 5].sort_values(["image_id", "tags"])
    lists = first.groupby(["image_id", "user_id"])["tags"].agg(tuple).reset_index()
    lists["keys"] = [list(combinations(five, 4)) for five in lists["tags"]]
    keys = lists[["image_id", "user_id", "keys"]].explode("keys")
    alike = keys.loc[keys.duplicated(["user_id", "keys"]), "image_id"].nunique()
    dropped = {"few_tags": few, "alphabetical": alphabetical, "near_duplicate": alike}
    kept = len(rows) - sum(dropped.values())
    return {"kept": kept, "dropped": dropped, "vocabulary": len(vocabulary)}


def in_plain_python(path: str, min_frequency: int) -> dict[str, Any]:
    """Clean with the oracle of the tests: loops, and every pair of a user's images compared."""
    rows = pq.read_table(path, columns=["image_id", "user_id", "tags"]).to_pylist()
    cleaned = clean_naively(rows, Rules(min_frequency=min_frequency))
    counts = Counter(image.reason for image in cleaned.images)
    dropped = {reason: counts[reason] for reason in ("few_tags", "alphabetical", "near_duplicate")}
    return {"kept": counts["kept"], "dropped": dropped, "vocabulary": len(cleaned.vocabulary)}


def main() -> None:
    """Print the funnel of one peer."""
    name, path, min_frequency = sys.argv[1:]
    peers = {"naive": in_plain_python, "pandas": with_pandas}
    print(json.dumps(peers[name](path, int(min_frequency))))
