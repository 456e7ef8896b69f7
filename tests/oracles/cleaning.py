"""Tag cleaning, naive: one image after the other, every pair of a user's images compared.

Written from the rules (supplement, section 5.1, and the docstring of `Rules`), in plain Python.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from data_prep.cleaning.rules import Rules
from data_prep.text import normalise


@dataclass
class Image:
    """A row and what became of it."""

    row: Mapping[str, Any]
    tags: list[str]  # all of them, in order, each once
    known: list[str] = field(default_factory=list)  # those in the vocabulary
    first: frozenset[str] = frozenset()  # that are compared within a user
    reason: str = "kept"
    like: Image | None = None  # the first image of the user that this one resembles


@dataclass
class Cleaned:
    """What `clean` gives: every image in the order of the rows, and the vocabulary by rank."""

    images: list[Image]
    vocabulary: list[tuple[str, int]]


def clean(rows: Iterable[Mapping[str, Any]], rules: Rules, order_by: str = "image_id") -> Cleaned:
    """Clean rows with `image_id`, `tags` (list of str or None, or None), perhaps `user_id`."""
    spell = lru_cache(maxsize=None)(normalise) if rules.normalise else str
    images = [Image(row, _distinct(row["tags"] or (), spell)) for row in rows]
    readable = [image for image in images if image.row["image_id"] is not None]
    for image in images:
        if image.row["image_id"] is None:
            image.reason = "unreadable"
    _drop_repeated_ids(readable)
    vocabulary = _vocabulary(readable, rules.min_frequency)
    words = {tag for tag, _ in vocabulary}
    for image in readable:
        image.known = [tag for tag in image.tags if tag in words]
        if image.reason == "kept":
            _judge(image, rules)
    if rules.max_shared_first_tags is not None:
        _compare_within_users(readable, rules, order_by)
    return Cleaned(images, vocabulary)


def in_crawl_order(images: list[Image], order_by: str) -> list[Image]:
    """Sort images; texts that are all whole numbers count as numbers, and missing keys are last."""
    keys = [image.row[order_by] for image in images]
    texts = [key for key in keys if isinstance(key, str)]
    if texts and all(re.fullmatch("[0-9]{1,38}", text) for text in texts):
        keys = [key if key is None else int(key) for key in keys]
    missing = [2 if k is None else 1 if isinstance(k, float) and math.isnan(k) else 0 for k in keys]
    ranked = [
        ((place, 0) if place else (0, key), number)
        for number, (key, place) in enumerate(zip(keys, missing, strict=True))
    ]
    return [images[number] for _, number in sorted(ranked)]


def _distinct(tags: Iterable[str | None], spell: Any) -> list[str]:
    spelled = (spell(tag) for tag in tags if tag is not None)
    return [tag for tag in dict.fromkeys(spelled) if tag]


def _drop_repeated_ids(images: list[Image]) -> None:
    ids = set()
    for image in images:
        if image.row["image_id"] in ids:
            image.reason = "duplicate_id"
        ids.add(image.row["image_id"])


def _vocabulary(images: list[Image], min_frequency: int) -> list[tuple[str, int]]:
    counts = Counter(tag for image in images if image.reason == "kept" for tag in image.tags)
    frequent = [(tag, count) for tag, count in counts.items() if count >= min_frequency]
    return sorted(frequent, key=lambda entry: (-entry[1], entry[0]))


def _judge(image: Image, rules: Rules) -> None:
    counted = image.tags if rules.count_tags == "all" else image.known
    ordered = image.tags if rules.order_tags == "all" else image.known
    if len(counted) < rules.min_tags or not image.known:
        image.reason = "few_tags"
    elif len(ordered) >= (rules.min_alphabetical or math.inf) and ordered == sorted(ordered):
        image.reason = "alphabetical"
    image.first = frozenset(ordered[: rules.first_tags])


def _compare_within_users(images: list[Image], rules: Rules, order_by: str) -> None:
    earlier: dict[Any, list[Image]] = defaultdict(list)
    for image in in_crawl_order(images, order_by):
        user = image.row.get("user_id")
        if image.reason != "kept" or user is None:
            continue
        for other in earlier[user]:
            if len(image.first & other.first) > rules.max_shared_first_tags:  # type: ignore[operator]
                image.reason, image.like = "near_duplicate", other
                break
        if image.reason == "kept" or rules.compare_to == "seen":
            earlier[user].append(image)
