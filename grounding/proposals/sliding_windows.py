"""Sliding windows: boxes of some sizes and shapes at regular places; they need no pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from data_prep.errors import UserError, check_number
from grounding.proposals.boxes import Proposals, clean


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

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Give the windows of a photo, in the order of scales, then of ratios, then row by row."""
        return clean(self.windows(*image.size), None, *image.size)

    def windows(self, width: int, height: int) -> np.ndarray:
        """Give the windows (N, 4) float64 of a photo; they reach all its borders."""
        found = []
        for scale in self.scales:
            for ratio in self.aspect_ratios:
                w = min(width, math.sqrt(scale * width * height * ratio))
                h = min(height, math.sqrt(scale * width * height / ratio))
                x, y = _places(width, w, self.stride), _places(height, h, self.stride)
                left, top = np.tile(x, len(y)), np.repeat(y, len(x))
                found.append(np.stack([left, top, left + w, top + h], axis=1))
        return np.concatenate(found)


def _places(length: int, side: float, stride: float) -> np.ndarray:
    """Spread windows over a length evenly, from its one end to its other."""
    steps = math.ceil((length - side) / (stride * side) - 1e-9)
    return np.linspace(0, length - side, steps + 1)
