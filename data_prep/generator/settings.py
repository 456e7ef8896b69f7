"""What a generated crawl is like."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from data_prep.errors import UserError

MOST_TAGS = 200  # on an image, at the most that tags_cap may say


@dataclass(frozen=True)
class CrawlSettings:
    """Size, seed and shape of a generated crawl; the defaults resemble the crawl of Stock6M.

    Cleaned with the thresholds of the paper, 17 million rows of the defaults leave about its
    18,157 tags and 6 million images.

    Attributes
    ----------
    images : int
        Rows.
    seed : int
        Of every random choice.
    distinct_tags : int
        Tags there are; tag of rank r is drawn with a probability ∝ (r + zipf_offset)^-zipf_exponent
        (Zipf–Mandelbrot).
    tags_mean, tags_sigma, tags_cap : float, float, int
        Tags per image: lognormal with this sigma, cut at the cap, with this mean after the cut.
    few_tags : float
        Share of images that have 0 to 4 tags instead.
    users : int
        Users there are; each owns a share of the shoots ∝ (rank + user_offset)^-user_exponent.
    hot_user : float
        Share of all images that belong to one further user.
    shoot_mean : float
        Mean number of images of a shoot, a run of one user's images with tags in common.
        Geometric.
    returns : float
        Share of shoots that repeat the tags of an earlier shoot of their user.
    shared_tags : float
        Share of an image's tags that come from its shoot.
    changed_tags : float
        Share of those that are replaced by others.
    same_order : float
        Share of images whose shared tags are in the order of the shoot, so that their first tags
        are alike; the others have an order of their own.
    alphabetical : float
        Share of shoots whose lists are sorted, by code point of the normalised tag.
    null_lists : float
        Share of images without a list.
    duplicate_tags : float
        Share of images with a tag that stands twice.
    null_tags, empty_tags : float
        Share of images with a tag that is null; that is empty or a space.
    odd_spellings : float
        Share of tags spelled oddly (see `data_prep.generator.spelling`).
    """

    images: int
    seed: int = 0
    distinct_tags: int = 200_000
    zipf_exponent: float = 1.26
    zipf_offset: float = 12.0
    tags_mean: float = 24.0
    tags_sigma: float = 0.5
    tags_cap: int = 50
    few_tags: float = 0.02
    users: int = 100_000
    user_exponent: float = 1.0
    user_offset: float = 10.0
    hot_user: float = 0.0
    shoot_mean: float = 8.0
    returns: float = 0.1
    shared_tags: float = 0.7
    changed_tags: float = 0.1
    same_order: float = 0.5
    alphabetical: float = 0.4
    null_lists: float = 0.001
    duplicate_tags: float = 0.02
    null_tags: float = 0.002
    empty_tags: float = 0.002
    odd_spellings: float = 0.005

    def __post_init__(self) -> None:
        """Check every value.

        Raises
        ------
        UserError
            One cannot be used; it names the key.
        """
        check_types(self)
        for key in SHARES:
            self._check(key, 0, 1)
        self._check("images", 1, 2**40)
        self._check("seed", 0, 2**63 - 1)
        self._check("tags_cap", 5, MOST_TAGS)
        self._check("tags_mean", 1.5, 0.9 * self.tags_cap)
        self._check("tags_sigma", 0.05, 2)
        self._check("distinct_tags", 4 * self.tags_cap, 2_000_000)
        self._check("users", 1, 100_000_000)
        self._check("shoot_mean", 1, 1e9)
        for key in ("zipf_exponent", "user_exponent"):
            self._check(key, 0, 3)
        for key in ("zipf_offset", "user_offset"):
            self._check(key, 0, 1e9)

    def _check(self, key: str, least: float, most: float) -> None:
        value = getattr(self, key)
        if not least <= value <= most:
            raise UserError(f"{key}={value}: give a number from {least:,} to {most:,}")


def check_types(settings: Any) -> None:
    """Refuse values of a dataclass of int and float fields that are none.

    Raises
    ------
    UserError
        It names the key.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        kinds = int if field.type == "int" else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            kind = "a whole number" if field.type == "int" else "a number"
            raise UserError(f"{field.name}={value}: give {kind}")


SHARES = (
    "few_tags",
    "hot_user",
    "returns",
    "shared_tags",
    "changed_tags",
    "same_order",
    "alphabetical",
    "null_lists",
    "duplicate_tags",
    "null_tags",
    "empty_tags",
    "odd_spellings",
)
