"""The dominant object of a photo: the box around the largest part of a map above a threshold.

Zhang et al., "Top-down Neural Attention by Excitation Backprop" (2016), section 4.2 and
supplement 6.2, where the threshold is tuned on photos apart from those measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from grounding.localisation import THRESHOLD, overlaps
from grounding.pointing import Box

# What a threshold is a multiple of, and the multiples that are tried.
FACTORS = {
    "max": np.arange(1, 31) / 50,  # 0.02 … 0.6
    "mean": np.arange(1, 33) / 8,  # 0.125 … 4
}

# Pixels that meet at a corner are of one component, as in the contours of OpenCV, by which the
# authors of CAM cut theirs.
NEIGHBOURS = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Tuning:
    """The factor at which the fewest boxes miss.

    Attributes
    ----------
    index : int
        Of the factor; of equals the middle one.
    errors : ndarray (T,) float64
        Share of misses at each factor, in [0, 1].
    """

    index: int
    errors: np.ndarray


def dominant_boxes(attention: np.ndarray, kind: str) -> np.ndarray:
    """Box of the dominant object at each of `FACTORS[kind]`.

    Parameters
    ----------
    attention : ndarray (H, W)
        A map at the photo's size, ≥ 0.
    kind : {"max", "mean"}
        A pixel is of the object where the map reaches the factor times its maximum or mean.

    Returns
    -------
    ndarray (T, 4) int64
        As `component_boxes`; all zero for a degenerate map: empty, without attention, or with a
        value that is not finite.
    """
    factors = FACTORS[kind]
    if is_degenerate(attention):
        return np.zeros((len(factors), 4), np.int64)
    whole = attention.max() if kind == "max" else attention.mean(dtype=np.float64)
    return component_boxes(attention, factors * float(whole))


def is_degenerate(attention: np.ndarray) -> bool:
    """Whether a map shows no object: empty, nothing above 0, or a value that is not finite."""
    return attention.size == 0 or not np.isfinite(attention).all() or attention.max() <= 0


def component_boxes(attention: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Tightest box around the largest connected component that reaches each level.

    Components hold together at sides and corners of pixels; of equally large ones, counted in
    pixels, the one whose first pixel comes first in reading order counts.

    Parameters
    ----------
    attention : ndarray (H, W)
        Finite.
    levels : ndarray (T,)
        Ascending, in units of the map.

    Returns
    -------
    ndarray (T, 4) int64
        (x1, y1, x2, y2) in pixels, half-open; all zero where no pixel reaches the level.
    """
    boxes = np.zeros((len(levels), 4), np.int64)
    left = top = 0
    for box, level in zip(boxes, levels.tolist(), strict=True):
        inside = attention >= level
        columns, rows = (np.flatnonzero(inside.any(axis)) for axis in (0, 1))
        if not len(rows):
            break
        # What reaches the next levels lies in here.
        here = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        attention, left, top = attention[here], left + columns[0], top + rows[0]
        y, x = _largest(inside[here])
        box[:] = left + x.start, top + y.start, left + x.stop, top + y.stop
    return boxes


def _largest(inside: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the largest component; there is one."""
    labelled, _ = ndimage.label(inside, NEIGHBOURS)  # numbered in reading order
    sizes = np.bincount(labelled.ravel())
    sizes[0] = 0  # background
    largest = int(sizes.argmax())
    rows, columns = ndimage.find_objects(labelled, largest)[largest - 1]
    return rows, columns


def best_overlaps(boxes: np.ndarray, truth: Sequence[Box]) -> np.ndarray:
    """Largest intersection over union of each box (T, 4) with any of the truth: (T,) in [0, 1]."""
    return overlaps(boxes, truth)[1]


def tune(overlap: np.ndarray) -> Tuning:
    """Choose the factor with the smallest error; of several the one in the middle.

    Parameters
    ----------
    overlap : ndarray (P, T)
        For P pairs of photo and class, `best_overlaps` at each factor; P ≥ 1.
    """
    errors = (overlap < THRESHOLD).mean(axis=0)
    best = np.flatnonzero(errors == errors.min())
    return Tuning(int(best[len(best) // 2]), errors)


def whole_image(width: int, height: int) -> Box:
    """Box of the photo: what is reached without looking at it."""
    return 0.0, 0.0, float(width), float(height)


def centre_box(width: int, height: int) -> Box:
    """Box half as wide and high as the photo, in its middle."""
    return width / 4, height / 4, 0.75 * width, 0.75 * height
