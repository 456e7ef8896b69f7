"""How a photo is made smaller before it goes into a shard."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal, get_args

import numpy as np
from PIL import ExifTags, Image

from data_prep.errors import UserError
from data_prep.images import UnusableImage, read_lazily, upright_rgb

Mode = Literal["short_side", "long_side", "mirror_square", "original"]

LONGEST_SIDE = 65500  # of a JPEG, pixels; libjpeg's limit
DRAFT = 2  # a JPEG may be decoded at a reduced size, but at least so many times the wanted one


@dataclass(frozen=True)
class Recipe:
    """What becomes of a photo.

    Attributes
    ----------
    mode : {"short_side", "long_side", "mirror_square", "original"}
        `short_side` and `long_side` scale down until that side is `size`, and never up.
        `mirror_square` pads to a square by mirroring, then scales it, up or down (Supplement 4.1
        of the paper). `original` leaves the pixels.
    size : int, optional
        Pixels; none with `original`.
    quality : int
        Of the JPEGs, 1 to 100. A JPEG whose pixels the recipe leaves as they are is not encoded
        anew.
    max_pixels : int
        Larger photos, or squares, are refused.
    """

    mode: Mode
    size: int | None
    quality: int = 92
    max_pixels: int = 80_000_000

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UserError(f"resize.mode={self.mode}: give one of {', '.join(get_args(Mode))}")
        if self.mode == "original":
            if self.size is not None:
                raise UserError("resize.size: mode=original has none; give null")
        elif not _is_whole(self.size) or not 1 <= (self.size or 0) <= LONGEST_SIDE:
            raise UserError(f"resize.size={self.size}: give a number of pixels, 1 or more")
        if not _is_whole(self.quality) or not 1 <= self.quality <= 100:
            raise UserError(f"jpeg_quality={self.quality}: give a whole number from 1 to 100")
        if not _is_whole(self.max_pixels) or self.max_pixels < 1:
            raise UserError(f"max_pixels={self.max_pixels}: give a whole number of pixels")

    def apply(self, content: bytes, name: str) -> tuple[bytes, tuple[int, int]]:
        """Turn the content of an image file into a JPEG, and give its (width, height).

        Raises
        ------
        UnusableImage
            The content cannot be decoded, or is too large; the message begins with `name`.
        """
        with read_lazily(BytesIO(content), name, self.max_pixels) as image:
            size = image.size
            kept = self.output_size(*size) == size and _is_plain_jpeg(image)
            # A draft of a JPEG skips much of the arithmetic, but reads all of the file.
            image.draft(None, (1, 1) if kept else self._draft_size(*size))
            image.load()
            if kept:
                return content, size
            photo = upright_rgb(image)
            if photo.size != image.size:  # turned by 90°
                size = size[::-1]
        if self.mode == "mirror_square":
            if max(photo.size) ** 2 > self.max_pixels:
                raise UnusableImage(f"{name}: as a square more than max_pixels", "too large")
            photo = mirror_square(photo)
        target = self.output_size(*size)
        if max(target) > LONGEST_SIDE:
            raise UnusableImage(f"{name}: more than {LONGEST_SIDE} pixels on a side", "too large")
        if photo.size != target:
            photo = photo.resize(target, Image.Resampling.BICUBIC)
        encoded = BytesIO()
        photo.save(encoded, "JPEG", quality=self.quality)
        return encoded.getvalue(), target

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Give the size that a photo gets, (width, height) in pixels."""
        if self.mode == "mirror_square":
            assert self.size is not None
            return self.size, self.size
        return _scaled(width, height, min(1.0, self._scale(width, height)))

    def _scale(self, width: int, height: int) -> float:
        """What the sides of the photo are multiplied by, if it may grow."""
        if self.size is None:
            return 1.0
        side = min(width, height) if self.mode == "short_side" else max(width, height)
        return self.size / side

    def _draft_size(self, width: int, height: int) -> tuple[int, int]:
        return _scaled(width, height, DRAFT * self._scale(width, height))


def mirror_square(photo: Image.Image) -> Image.Image:
    """Pad a photo to a square, alike on both sides, with its mirror images.

    The edge itself is repeated (`dcba abcd dcba`), as often as a long photo needs.
    """
    side = max(photo.size)
    missing = [side - length for length in (photo.height, photo.width)]
    widths = [*((count // 2, count - count // 2) for count in missing), (0, 0)]
    return Image.fromarray(np.pad(np.asarray(photo), widths, mode="symmetric"))


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(scale * width)), max(1, round(scale * height))


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Tell whether every reader sees a JPEG's pixels as upright RGB."""
    if (image.format, image.mode) != ("JPEG", "RGB"):
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) not in range(2, 9)
    except Exception:  # EXIF data can be broken in any way
        return False


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
