"""The pointing game: does the maximum of a map fall on the object that was asked for.

Protocol of Zhang et al., "Top-down Neural Attention by Excitation Backprop" (2016), section 6.1:
a hit is a maximum within 15 pixels of a box of the class, measured in the original image; the
accuracy of a class is its share of hits and the result is the mean over classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = 15.0

Box = tuple[float, float, float, float]
Point = tuple[int, int]


@dataclass(frozen=True)
class Outcome:
    """One play: a class asked of an image.

    Attributes
    ----------
    image, label : str
        What was asked.
    hit : bool
        Whether the point fell on the object.
    difficult : bool or None
        Whether the pair belongs to the "difficult" subset; None, where nobody knows, counts as not.
    """

    image: str
    label: str
    hit: bool
    difficult: bool | None


def peak(attention: np.ndarray) -> Point | None:
    """Position of the maximum of a map.

    Parameters
    ----------
    attention : ndarray (H, W)
        A map at the image's size, of any real dtype.

    Returns
    -------
    tuple of int or None
        (x, y) in pixels; of equal maxima the first in reading order. None for a map that points
        nowhere: empty, constant (such as all zero), or with a value that is not finite.

    Notes
    -----
    Equal maxima are mostly those of a cell at the border: bilinear resizing repeats it over the
    half of the cell that is outside of all centres of cells, and the point is this strip's left
    or upper end. So the point of a mirrored map is not the mirrored point: at the left border it is
    the photo's edge, at the right one half a cell from it. Half a cell is 18 pixels of a photo
    500 pixels wide and a grid of 14 columns, 9 of one of 28: a hit within 15 pixels may turn on it.
    """
    if attention.size == 0 or not np.isfinite(attention).all():
        return None
    if attention.max() == attention.min():
        return None
    y, x = np.unravel_index(attention.argmax(), attention.shape)
    return int(x), int(y)


def centre(width: int, height: int) -> Point:
    """Pixel that the centre baseline points at, as (x, y)."""
    return width // 2, height // 2


def point_hits(point: Point | None, boxes: Sequence[Box], tolerance: float = TOLERANCE) -> bool:
    """Whether a pixel lies within the tolerance of any box.

    Parameters
    ----------
    point : tuple of int or None
        (x, y) in pixels. None, the peak of a degenerate map, is always a miss.
    boxes : sequence of (x1, y1, x2, y2)
        Half-open boxes in pixels: with whole coordinates the last column inside is x2 - 1.
    tolerance : float
        Largest allowed Euclidean distance in pixels to the nearest pixel of a box, included. So
        the disc of that radius around the point touches the box. With this reading the centre
        baseline comes out as published. 0: the pixel's centre is in a box, whose coordinates may
        be fractions; then a hit at 0 can be a miss at a tolerance below 0.71 (half a pixel's
        diagonal).
    """
    if point is None:
        return False
    x, y = point
    if tolerance == 0:
        return any(x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2 for x1, y1, x2, y2 in boxes)
    return any(
        math.hypot(max(x1 - x, x - (x2 - 1), 0), max(y1 - y, y - (y2 - 1), 0)) <= tolerance
        for x1, y1, x2, y2 in boxes
    )


def point_hits_mask(point: Point | None, mask: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Whether a pixel lies within the tolerance of any pixel of a mask.

    Parameters
    ----------
    point : tuple of int or None
        (x, y) in pixels; None is always a miss.
    mask : ndarray (H, W) bool
        At the image's size.
    tolerance : float
        Largest allowed Euclidean distance in pixels, included.
    """
    if point is None:
        return False
    x, y = point
    reach = math.floor(tolerance)
    left, top = max(0, x - reach), max(0, y - reach)
    rows, columns = np.nonzero(mask[top : y + reach + 1, left : x + reach + 1])
    return bool((np.hypot(columns + left - x, rows + top - y) <= tolerance).any())


def class_accuracies(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Share of hits of every class that was played, in [0, 1].

    Parameters
    ----------
    outcomes : iterable of Outcome
        All plays of one method, or those of a subset.
    """
    plays: dict[str, list[bool]] = {}
    for outcome in outcomes:
        plays.setdefault(outcome.label, []).append(outcome.hit)
    return {label: sum(hits) / len(hits) for label, hits in sorted(plays.items())}


def accuracy(outcomes: Iterable[Outcome]) -> float:
    """Mean over classes of the share of hits, in [0, 1]; NaN without a play."""
    shares = class_accuracies(outcomes).values()
    return sum(shares) / len(shares) if shares else math.nan
