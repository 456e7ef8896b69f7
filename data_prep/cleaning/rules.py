"""The rules of cleaning: their thresholds, their reasons, and the two that judge one image alone.

Source: "Top-down Neural Attention by Excitation Backprop", supplement 5.1. Both engines use
what is here and in `near_duplicates`; nothing is said twice.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import numpy as np
import pyarrow as pa

from data_prep.compiled import compiled
from data_prep.errors import UserError

Tags = Literal["vocabulary", "all"]

# Why a row was dropped. Its place in this list is its code; 0 is a kept row.
REASONS = ("kept", "unreadable", "duplicate_id", "few_tags", "alphabetical", "near_duplicate")
KEPT, UNREADABLE, DUPLICATE_ID, FEW_TAGS, ALPHABETICAL, NEAR_DUPLICATE = range(len(REASONS))

MOST_FIRST_TAGS = 8  # 8 choose 4 is 70 keys an image; more would fill the memory


@dataclass(frozen=True)
class Rules:
    """Thresholds and readings; the defaults are the paper's.

    Attributes
    ----------
    normalise : bool
        Bring every tag into its one spelling (`data_prep.text.normalise`) first. Empty tags and
        the repetitions of a tag in one image are removed in any case.
    min_frequency : int
        The vocabulary is the tags on at least so many images.
    min_tags : int
        Images with fewer are dropped (`few_tags`).
    count_tags : {"vocabulary", "all"}
        What `min_tags` counts: the image's vocabulary tags, or all of its tags. An image without
        any vocabulary tag is dropped in any case.
    min_alphabetical : int or None
        Lists of at least so many tags are dropped when in alphabetical order (by code point);
        at least 2, and None drops none.
    first_tags : int
        So many tags at the head of an image's list are compared between images of a user.
    max_shared_first_tags : int or None
        An image that shares more of them with an earlier image of its user is dropped
        (`near_duplicate`); None drops none.
    compare_to : {"seen", "kept"}
        The earlier images: those that passed the rules above, or of these only the kept ones.
    order_tags : {"vocabulary", "all"}
        Whose order the last two rules look at: the image's vocabulary tags, or all of its tags.
    """

    normalise: bool = True
    min_frequency: int = 1000
    min_tags: int = 5
    count_tags: Tags = "vocabulary"
    min_alphabetical: int | None = 2
    first_tags: int = 5
    max_shared_first_tags: int | None = 3
    compare_to: Literal["seen", "kept"] = "seen"
    order_tags: Tags = "vocabulary"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            _check(field.name, getattr(self, field.name), hints[field.name])
        least = {"min_frequency": 1, "min_tags": 1, "first_tags": 1}
        least |= {"min_alphabetical": 2, "max_shared_first_tags": 0}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and value < limit:
                raise UserError(f"clean.{name}={value}: give {limit} or more")
        if self.first_tags > MOST_FIRST_TAGS:
            raise UserError(f"clean.first_tags={self.first_tags}: give {MOST_FIRST_TAGS} or fewer")
        shared = self.max_shared_first_tags
        if shared is not None and shared >= self.first_tags:
            raise UserError(
                f"clean.max_shared_first_tags={shared}: of {self.first_tags} first tags no image "
                "can share more; give a smaller number, or null to skip the rule"
            )


def _check(name: str, value: object, hint: object) -> None:
    options = get_args(hint)
    if hint is bool:
        good, wanted = isinstance(value, bool), "true or false"
    elif hint is int or int in options:
        good = isinstance(value, int) and not isinstance(value, bool)
        wanted = "a whole number"
        if type(None) in options:
            good, wanted = good or value is None, f"{wanted} or null"
    else:
        good, wanted = value in options, " or ".join(map(str, options))
    if not good:
        raise UserError(f"clean.{name}={value}: give {wanted}")


@compiled
def has_few_tags(counted: int, known: int, min_tags: int) -> bool:
    """Tell whether an image has too few tags of those that count, or none of the vocabulary."""
    return counted < min_tags or known == 0


@compiled
def is_alphabetical(places: np.ndarray) -> bool:
    """Tell whether tags, given by their places in the alphabet, are in alphabetical order."""
    for k in range(1, places.size):  # noqa: SIM110 (numba compiles no generator)
        if places[k] < places[k - 1]:
            return False
    return True


def judge(
    tags: pa.ListArray, code_of: np.ndarray, place_of: np.ndarray, rules: Rules, reasons: np.ndarray
) -> np.ndarray:
    """Judge images by the rules that look at one image alone, and take their first tags.

    Parameters
    ----------
    tags : list<int32> (N,)
        Each image's tags, as numbers below D; without nulls and repetitions.
    code_of : int32 (D,)
        Vocabulary code of each tag, -1 for one outside the vocabulary.
    place_of : int32 (D,)
        Place of each tag in the alphabet.
    rules : Rules
    reasons : uint8 (N,)
        In: images that are out already have a reason. Out: 0 only for those still in.

    Returns
    -------
    int32 (N, first_tags)
        The first tags of the images still in, -1 where there are fewer.
    """
    first = np.full((len(tags), rules.first_tags), -1, np.int32)
    _judge(
        tags.values.to_numpy(),
        tags.offsets.to_numpy(),
        code_of,
        place_of,
        rules.min_tags,
        rules.count_tags == "all",
        rules.min_alphabetical or 0,
        rules.order_tags == "all",
        reasons,
        first,
    )
    return first


@compiled
def _judge(
    tags: np.ndarray,
    offsets: np.ndarray,
    code_of: np.ndarray,
    place_of: np.ndarray,
    min_tags: int,
    count_all: bool,
    min_alphabetical: int,
    order_all: bool,
    reasons: np.ndarray,
    first: np.ndarray,
) -> None:
    """Fill `reasons` and `first`; image n has ``tags[offsets[n]:offsets[n + 1]]``."""
    places = np.empty(max(tags.size, 1), np.int32)
    for n in range(offsets.size - 1):
        if reasons[n] != KEPT:
            continue
        known = ordered = 0
        for k in range(offsets[n], offsets[n + 1]):
            is_known = code_of[tags[k]] >= 0
            known += is_known
            if is_known or order_all:
                places[ordered] = place_of[tags[k]]
                if ordered < first.shape[1]:
                    first[n, ordered] = tags[k]
                ordered += 1
        if has_few_tags(offsets[n + 1] - offsets[n] if count_all else known, known, min_tags):
            reasons[n] = FEW_TAGS
        elif 0 < min_alphabetical <= ordered and is_alphabetical(places[:ordered]):
            reasons[n] = ALPHABETICAL
