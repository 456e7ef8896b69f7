"""What a classifier sees of a photo: all of it, or a varied part in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import RandomCrop, RandomResizedCrop

from data_prep.errors import UserError
from grounding.preprocessing import Preprocessing, scoring_size

Kind = Literal["whole", "random_crop", "random_resized_crop"]

RESIZED = 256 / 224  # short side of the photo in sides of its random crop: the paper's
RATIOS = (3 / 4, 4 / 3)  # width / height of a random resized crop


@dataclass(frozen=True)
class View:
    """How a photo becomes pixels.

    Attributes
    ----------
    preprocessing : Preprocessing
        Size and interpolation.
    kind : str
        "whole": all of the photo, as `TagClassifier.logits` sees it, of about the area of a
        square of the preprocessing's size. "random_crop": the photo's short side is 256/224 of
        the size, a square of the size is cut out at random (the paper, supplement 4.1).
        "random_resized_crop": a part of `scale` of the photo's area, with a width of 3/4 to 4/3
        of its height, becomes a square of the size (Szegedy et al., Going deeper with
        convolutions, 2015).
    scale : tuple of 2 float
        Least and largest share of the area in a random resized crop, in (0, 1].
    flip : bool
        Mirror half of the photos.

    Raises
    ------
    UserError
        Unknown kind, or an unusable scale.
    """

    preprocessing: Preprocessing
    kind: Kind = "whole"
    scale: tuple[float, float] = (0.35, 1.0)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(f"train.view={self.kind}: give one of {', '.join(get_args(Kind))}")
        _check_scale(self.scale)

    @property
    def varies(self) -> bool:
        """Whether a photo looks different each time."""
        return self.flip or self.kind != "whole"

    def __call__(self, image: Image.Image) -> Tensor:
        """Give the pixels (3, h, w), uint8 RGB; random numbers are those of torch."""
        side = self.preprocessing.size
        if self.kind == "whole":
            pixels = self.preprocessing.pixels(image, scoring_size(*image.size, side))
        else:
            top, left, height, width = self._crop(image)
            box = (left, top, left + width, top + height)
            pixels = self.preprocessing.pixels(image, (side, side), box)
        if self.flip and torch.rand(()) < 0.5:
            pixels = pixels.flip(-1)
        return pixels

    def _crop(self, image: Image.Image) -> tuple[int, int, int, int]:
        """Draw top, left, height and width of a crop, in the photo's pixels."""
        if self.kind == "random_resized_crop":
            return RandomResizedCrop.get_params(image, list(self.scale), list(RATIOS))
        side = max(1, round(min(image.size) / RESIZED))
        return RandomCrop.get_params(image, (side, side))


def _check_scale(scale: Any) -> None:
    values = list(scale) if isinstance(scale, tuple) else []
    numbers = [each for each in values if isinstance(each, int | float) and each is not True]
    if not (len(values) == len(numbers) == 2 and 0 < numbers[0] <= numbers[1] <= 1):
        raise UserError(
            f"train.scale={values or scale}: give the least and the largest share of a photo's "
            "area, above 0 and up to 1, as in [0.35,1]"
        )
