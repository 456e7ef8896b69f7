"""Selective search on real photos and on drawn ones whose boxes are known."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import skimage
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.selective_search import SelectiveSearch

pytest.importorskip("cv2.ximgproc")

CAT = Path(skimage.__path__[0]) / "data" / "chelsea.png"
SEARCH = SelectiveSearch("fast", long_side=None, min_side=0, max_boxes=None, seed=0)


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.open(CAT).convert("RGB").resize((150, 100))


def drawn(scale: int) -> Image.Image:
    """Two rectangles of one colour each on a third, `scale` pixels a unit."""
    picture = np.full((40, 60, 3), 60, np.uint8)
    picture[8:30, 6:20] = (220, 30, 40)
    picture[5:20, 35:55] = (40, 60, 230)
    return Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1))


def overlaps(box: tuple[float, ...], boxes: np.ndarray) -> np.ndarray:
    """Compute the IoU of a box with boxes (N, 4)."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(1)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return shared / (area + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared)


@pytest.mark.parametrize("mode", ["single", "fast", "quality"])
@pytest.mark.parametrize(("scale", "long_side"), [(2, None), (4, 120), (4, 240)])
def test_finds_what_is_drawn(mode: str, scale: int, long_side: int | None) -> None:
    """At full size, and scaled down and back."""
    search = replace(SEARCH, mode=mode, long_side=long_side)
    boxes = search.generate(drawn(scale), "").boxes
    for box in ((6, 8, 20, 30), (35, 5, 55, 20), (0, 0, 60, 40)):
        found = overlaps(tuple(scale * side for side in box), boxes)
        assert found.max() > 0.85


def test_boxes_are_in_the_photo_without_repeats_and_the_same_every_time(cat: Image.Image) -> None:
    first, again = (SEARCH.generate(cat, "").boxes for _ in range(2))
    assert np.array_equal(first, again)
    assert len(first) > 50
    assert len(np.unique(first, axis=0)) == len(first)
    assert (first[:, :2] >= 0).all()
    assert (first[:, :2] < first[:, 2:]).all()
    assert (first[:, 2:] <= [150, 100]).all()


def test_the_seed_changes_the_order_alone(cat: Image.Image) -> None:
    first = SEARCH.generate(cat, "").boxes
    other = replace(SEARCH, seed=1).generate(cat, "").boxes
    assert not np.array_equal(first, other)
    assert np.array_equal(np.unique(first, axis=0), np.unique(other, axis=0))


def test_large_boxes_tend_to_come_first(cat: Image.Image) -> None:
    boxes = SEARCH.generate(cat, "").boxes
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    half = len(areas) // 2
    assert np.median(areas[:half]) > 2 * np.median(areas[half:])


def test_max_boxes_are_the_first(cat: Image.Image) -> None:
    all_boxes = SEARCH.generate(cat, "").boxes
    assert np.array_equal(replace(SEARCH, max_boxes=7).generate(cat, "").boxes, all_boxes[:7])


def test_min_side_is_in_pixels_of_the_photo() -> None:
    search = replace(SEARCH, long_side=120)
    every, large = (replace(search, min_side=side).generate(drawn(4), "").boxes for side in (0, 60))
    sides = every[:, 2:] - every[:, :2]
    assert 0 < (sides >= 60).all(1).sum() < len(every)
    expected = every[(sides >= 60).all(1)]
    assert np.array_equal(np.unique(large, axis=0), np.unique(expected, axis=0))


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (500, 3)])
def test_photos_too_small_to_have_regions(size: tuple[int, int]) -> None:
    """The whole photo is the one region."""
    boxes = replace(SEARCH, long_side=250).generate(Image.new("RGB", size, "red"), "").boxes
    assert boxes.tolist() == [[0, 0, *size]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("mode", "best"), ("long_side", 0), ("long_side", 2.5), ("min_side", -1)],
        *[("max_boxes", 0), ("seed", -1), ("seed", None)],
    ],
)
def test_refused(key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^proposals.{key}={value}: give "):
        replace(SEARCH, **{key: value})  # type: ignore[arg-type]


def test_opencv_without_this_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for absent in (None, ModuleType("cv2")):
        monkeypatch.setitem(sys.modules, "cv2", absent)
        with pytest.raises(UserError, match="pip install .*opencv-contrib-python-headless"):
            replace(SEARCH, seed=3)
