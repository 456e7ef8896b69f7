"""Masks of JSON: against pycocotools' own reader, and polygons against a slow rasterisation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_masks

from data_prep.masks import to_rle


def drawn(segmentation: object, height: int, width: int) -> np.ndarray:
    return coco_masks.decode(to_rle(segmentation, height, width)).astype(bool)


def run_lengths(mask: np.ndarray) -> list[int]:
    """Count by walking down the columns, background first."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


masks = st.tuples(st.integers(1, 9), st.integers(1, 40)).flatmap(lambda size: arrays(bool, size))


@given(masks)
def test_run_lengths_of_both_kinds(mask: np.ndarray) -> None:
    assume(mask.any())
    height, width = mask.shape
    counts = run_lengths(mask)
    assert (drawn({"size": [height, width], "counts": counts}, height, width) == mask).all()
    text = coco_masks.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    assert (drawn({"size": [height, width], "counts": text}, height, width) == mask).all()


@pytest.mark.parametrize("segmentation", [[[9, 7, 10, 7, 10, 8]], {"size": [4, 5], "counts": [20]}])
def test_masks_without_a_pixel(segmentation: object) -> None:
    assert not drawn(segmentation, 4, 5).any()


def test_compressed_runs_that_are_long() -> None:
    mask = np.zeros((3000, 4000), bool)
    mask[:, 2001] = mask[17, 5] = True
    text = coco_masks.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    assert (drawn({"size": [3000, 4000], "counts": text}, 3000, 4000) == mask).all()


def inside(polygon: list[float], x: float, y: float) -> bool:
    """Cast a ray to the right and count the edges that it crosses."""
    corners = list(zip(polygon[::2], polygon[1::2], strict=True))
    odd = False
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            odd = not odd
    return odd


def test_polygons_against_casting_rays() -> None:
    triangle, square = (
        [2.0, 1.0, 27.0, 4.0, 11.0, 19.0],
        [24.0, 12.0, 29.0, 12.0, 29.0, 18.0, 24, 18],
    )
    height, width = 20, 30
    mask = drawn([triangle, square], height, width)
    pixels = [
        [inside(triangle, x + 0.5, y + 0.5) or inside(square, x + 0.5, y + 0.5) for x in range(30)]
        for y in range(20)
    ]
    # On slanted edges the two may round a pixel differently; whole squares are exact.
    assert (mask != np.array(pixels)).sum() <= 12
    assert mask.sum() == pytest.approx(np.sum(pixels), rel=0.03)
    assert (drawn([square], height, width)[12:18, 24:29]).all()
    assert drawn([square], height, width).sum() == 30


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "neither a list of polygons nor run lengths"),
        ("32?", "neither a list of polygons nor run lengths"),
        ([], "there is no polygon"),
        ([[]], "has 0 coordinates"),
        ([[1, 1, 3, 3]], "has 4 coordinates"),  # pycocotools would draw a box
        ([[1, 1, 3, 1, 3, 3, 1]], "has 7 coordinates"),
        ([[0, 0, 4, 0, 4, 4], [1, 1]], "has 2 coordinates"),
        ([1, 1, 3, 1, 3, 3], "no list of numbers"),
        ([[1, 1, 3, "1", 3, 3]], "no list of numbers"),
        ([[1, 1, 3, float("nan"), 3, 3]], "no list of numbers"),
        ([[1, 1, 3e9, 1, 3, 3]], "far outside"),
        ({"counts": [20]}, "its size is None"),
        ({"size": [5, 4], "counts": [20]}, r"its size is \[5, 4\], the photo's is \[4, 5\]"),
        ({"size": [4, 5]}, "no run lengths"),
        ({"size": [4, 5], "counts": [3, 2, 14]}, "add up to 19, not to 4 × 5"),
        ({"size": [4, 5], "counts": [3, 2, 16]}, "add up to 21"),
        ({"size": [4, 5], "counts": [25, -5]}, "no run lengths"),
        ({"size": [4, 5], "counts": [3, True, 16]}, "no run lengths"),
        ({"size": [4, 5], "counts": [2**32 + 20]}, "add up to 4294967316"),
        ({"size": [4, 5], "counts": "32"}, "add up to 5"),
        ({"size": [4, 5], "counts": "32o"}, "no compressed"),  # says that more follows
        ({"size": [4, 5], "counts": "3 2"}, "no compressed"),
        ({"size": [4, 5], "counts": ""}, "no compressed"),
        ({"size": [4, 5], "counts": "3O"}, "no compressed"),  # 3, −1
    ],
)
def test_what_cannot_be_drawn(segmentation: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_rle(segmentation, 4, 5)
