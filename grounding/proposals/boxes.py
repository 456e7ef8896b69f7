"""What generators of proposals have in common: their result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from data_prep.errors import UserError


@dataclass(frozen=True)
class Proposals:
    """Boxes of one photo.

    Attributes
    ----------
    boxes : ndarray (N, 4) float32
        x1, y1, x2, y2 in pixels of the photo, half-open; inside it, none empty or repeated, the
        generator's best first.
    scores : ndarray (N,) float32 or None
        The generator's, if it has any.
    dropped : int
        Boxes left out because they were empty, outside the photo or not finite.
    """

    boxes: np.ndarray
    scores: np.ndarray | None = None
    dropped: int = 0


class NoProposals(UserError):
    """A photo's proposals cannot be made; those of others may be.

    Attributes
    ----------
    code : str
        Why, in a word or two.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Generator(Protocol):
    """Makes the proposals of photos; can be pickled."""

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Give the proposals of a photo (mode RGB) that is known by `image_id`.

        Raises
        ------
        NoProposals
            There can be none of this photo.
        """


def clean(boxes: np.ndarray, scores: np.ndarray | None, width: int, height: int) -> Proposals:
    """Clip boxes to the photo and leave out unusable and repeated ones; the order stays.

    Parameters
    ----------
    boxes : ndarray (N, 4)
        x1, y1, x2, y2, half-open; any values.
    scores : ndarray (N,) or None
    width, height : int
        Of the photo.
    """
    limits = [width, height, width, height]
    clipped = np.clip(boxes.astype(np.float64), 0, limits).astype(np.float32)
    usable = np.isfinite(boxes).all(1) & (clipped[:, 2:] > clipped[:, :2]).all(1)
    kept = np.flatnonzero(usable)
    first = np.unique(clipped[kept], axis=0, return_index=True)[1]
    kept = kept[np.sort(first)]
    return Proposals(
        clipped[kept],
        None if scores is None else scores[kept].astype(np.float32),
        dropped=int((~usable).sum()),
    )
