"""Sliding windows: boxes of some sizes and shapes at regular places; they need no pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data_prep.errors import UserError, check_number
from grounding.proposals.boxes import Proposals, clean

MOST_WINDOWS = 200_000  # of a photo: each takes time and memory in all that follows
SQUARE = 1000  # pixels; a photo to count the windows of


@dataclass(frozen=True)
class SlidingWindows:
    """Windows in a regular grid.

    Attributes
    ----------
    scales : tuple of float
        Areas as shares of the photo's area.
    aspect_ratios : tuple of float
        Width by height, in pixels. A window that would stick out is cut to the photo's side.
    stride : float
        The most that neighbours are apart, as a share of the window's side.

    Raises
    ------
    UserError
        A value is unusable.
    """

    scales: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    stride: float

    def __post_init__(self) -> None:
        for key, most in (("scales", 1.0), ("aspect_ratios", 100.0)):
            values = getattr(self, key)
            if not isinstance(values, tuple) or not values:
                shown = values or []
                raise UserError(f"proposals.{key}={shown}: give one number or more, as in [0.5,1]")
            for value in values:
                check_number(f"proposals.{key}", value, 0.0001 if most == 1 else 0.01, most)
        check_number("proposals.stride", self.stride, 0.01, 1)
        if (count := self.count(SQUARE, SQUARE)) > MOST_WINDOWS:
            raise UserError(
                f"proposals.scales, aspect_ratios, stride: {count:,} windows in a square photo, "
                f"more than {MOST_WINDOWS:,}; give larger scales, fewer ratios or a larger stride"
            )

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Give the windows of a photo, in the order of scales, then of ratios, then row by row."""
        return clean(self.windows(*image.size), None, *image.size)

    def windows(self, width: int, height: int) -> np.ndarray:
        """Give the windows (N, 4) float64 of a photo; they reach all its borders."""
        found = []
        for w, h in self._sides(width, height):
            x, y = (
                np.linspace(0, length - side, _count(length, side, self.stride))
                for length, side in ((width, w), (height, h))
            )
            left, top = np.tile(x, len(y)), np.repeat(y, len(x))
            found.append(np.stack([left, top, left + w, top + h], axis=1))
        return np.concatenate(found)

    def count(self, width: int, height: int) -> int:
        """Tell how many windows a photo has, without making them."""
        return sum(
            _count(width, w, self.stride) * _count(height, h, self.stride)
            for w, h in self._sides(width, height)
        )

    def _sides(self, width: int, height: int) -> Iterator[tuple[float, float]]:
        for scale in self.scales:
            for ratio in self.aspect_ratios:
                w = min(width, math.sqrt(scale * width * height * ratio))
                yield w, min(height, math.sqrt(scale * width * height / ratio))


def _count(length: int, side: float, stride: float) -> int:
    """Tell how many windows, spread evenly, reach from one end of a length to the other."""
    return math.ceil((length - side) / (stride * side) - 1e-9) + 1
