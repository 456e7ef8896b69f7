"""How many scenes, how large, and how dirty their crawl is."""

from __future__ import annotations

from dataclasses import dataclass, fields

from data_prep.errors import UserError
from data_prep.generator.settings import check_types


@dataclass(frozen=True)
class SceneSettings:
    """Size, seed and dirt of drawn scenes and their crawl.

    Attributes
    ----------
    images : int
        Scenes in the crawl.
    captioned : int
        Further scenes with captions and boxes: half of them val, half test.
    seed : int
        Of every random choice.
    size : int
        Long side of a scene in pixels.
    users : int
        Uploaders there are; of rank r, one makes a share ∝ 1 / (r + 10) of the shoots.
    near_duplicates : float
        Share of images that repeat the scene before them, slightly changed.
    alphabetical : float
        Share of users who sort their tags.
    few_tags : float
        Share of images with 1 to 4 tags.
    hidden_nouns : float
        Share of images with a noun among their tags that is not in the picture.
    missing_nouns : float
        Share of the nouns in a picture that are not among its tags.
    odd_spellings : float
        Share of tags spelled oddly (see `data_prep.generator.spelling`).
    """

    images: int = 2400
    captioned: int = 200
    seed: int = 0
    size: int = 320
    users: int = 200
    near_duplicates: float = 0.2
    alphabetical: float = 0.2
    few_tags: float = 0.05
    hidden_nouns: float = 0.1
    missing_nouns: float = 0.05
    odd_spellings: float = 0.02

    def __post_init__(self) -> None:
        """Check every value.

        Raises
        ------
        UserError
            One cannot be used; it names the key.
        """
        check_types(self)
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = RANGES.get(field.name, (0, 1))
            if not least <= value <= most:
                raise UserError(f"{field.name}={value}: give a number from {least:,} to {most:,}")


# Least and most of the keys that are no shares.
RANGES = {
    "images": (1, 10_000_000),
    "captioned": (2, 1_000_000),
    "seed": (0, 2**63 - 1),
    "size": (160, 2048),
    "users": (1, 1_000_000),
}
