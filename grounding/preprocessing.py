"""From a photo to the tensor a classifier was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from data_prep.errors import UserError

GRID = 32  # total stride of the usual convnets: both sides of an input are multiples of it
INTERPOLATIONS = ("bicubic", "bilinear")
CHANNELS = ("RGB", "BGR")
LONGEST = 4.0  # long side of an input in short sides; a longer panorama is scaled down to it


@dataclass(frozen=True)
class Preprocessing:
    """How pixel values become a classifier's input.

    Attributes
    ----------
    mean, std : tuple of 3 float
        Subtracted, then divided by, per channel in the order of `channels` and in units of `white`.
    interpolation : {"bicubic", "bilinear"}
        Of the resize, with antialiasing.
    white : float
        Value of a white pixel before the mean is subtracted: 1 or 255.
    channels : {"RGB", "BGR"}
        Order of the classifier's input channels.
    size : int
        Side of the square inputs of the training, pixels.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    white: float = 1.0
    channels: str = "RGB"
    size: int = 224

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == 3 or 0 in self.std:
            raise UserError(
                f"preprocessing: mean={self.mean} and std={self.std} need three numbers each, "
                "those of std other than 0"
            )
        for key, allowed in {"interpolation": INTERPOLATIONS, "channels": CHANNELS}.items():
            if getattr(self, key) not in allowed:
                raise UserError(
                    f"preprocessing: {key}={getattr(self, key)} is none of {', '.join(allowed)}"
                )
        if self.white <= 0 or self.size <= 0:
            raise UserError(f"preprocessing: white={self.white} and size={self.size} must be > 0")

    def __call__(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """Scale a whole photo, without a crop, to a (width, height) in pixels and normalise it.

        Returns
        -------
        Tensor
            (3, height, width) float32.
        """
        return self.normalise(self.pixels(image, size))

    def pixels(
        self,
        image: Image.Image,
        size: tuple[int, int],
        box: tuple[float, float, float, float] | None = None,
    ) -> Tensor:
        """Scale a photo, or a box (x1, y1, x2, y2) of it, to a (width, height) in pixels.

        Returns
        -------
        Tensor
            (3, height, width) uint8, RGB.
        """
        resample = Image.Resampling[self.interpolation.upper()]
        resized = image.convert("RGB").resize(size, resample, box)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn uint8 pixels (…, 3, H, W) into the model's float32 input, on their device."""
        levels = pixels.float() * (self.white / 255)
        if self.channels == "BGR":
            levels = levels.flip(-3)
        return (levels - _per_channel(self.mean, pixels.device)) / _per_channel(
            self.std, pixels.device
        )


@lru_cache
def _per_channel(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """Put (3, 1, 1) values on a device, once: a copy makes the processor wait for a GPU."""
    return torch.tensor(values, device=device).view(3, 1, 1)


def attention_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Give the (width, height) in pixels at which a photo is asked for attention.

    The short side becomes `short_side`, unless the long side would exceed `LONGEST` times that:
    then the long side is that limit. Each side is rounded to the nearest multiple of 32, at
    least 32, which alters the aspect ratio by a few per cent at most for sides of 320 or more.
    """
    scale = min(short_side / min(width, height), LONGEST * short_side / max(width, height))
    return _to_grid(width * scale), _to_grid(height * scale)


def scoring_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Give the (width, height) in pixels at which a photo is classified.

    It has about the area of a square of `side` pixels, the true aspect ratio up to `LONGEST`,
    and multiples of 32. A net with global average pooling is sure of itself only at the area it
    was trained on: on 200 photos of VOC 2007 the bundled net named 76 % at this size, 74 % with
    a short side of 224 and 46 % with one of 320.
    """
    aspect = min(max(width / height, 1 / LONGEST), LONGEST)
    return _to_grid(side * aspect**0.5), _to_grid(side / aspect**0.5)


def _to_grid(side: float) -> int:
    return max(1, round(side / GRID)) * GRID


def upsampled(grid: Tensor, width: int, height: int) -> np.ndarray:
    """(h, w) → (height, width) float32, bilinear; cell centres stay where they are."""
    large = functional.interpolate(
        grid[None, None].float(), size=(height, width), mode="bilinear", align_corners=False
    )
    return large[0, 0].cpu().numpy()
