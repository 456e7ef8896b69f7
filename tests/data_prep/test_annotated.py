"""Regions of a class: masks and areas against counting pixels."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_masks

from data_prep.annotated import UNREADABLE, AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.phrases import Box

WIDTH, HEIGHT = 12, 9


def encoded(*masks: np.ndarray) -> ClassRegions:
    run_lengths = tuple(coco_masks.encode(np.asfortranarray(mask, np.uint8)) for mask in masks)
    return ClassRegions("dog", (), run_lengths)


@st.composite
def whole_box(draw: st.DrawFn) -> Box:
    x1, y1 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    x2, y2 = draw(st.integers(x1 + 1, WIDTH)), draw(st.integers(y1 + 1, HEIGHT))
    return float(x1), float(y1), float(x2), float(y2)


@given(st.lists(whole_box(), min_size=1, max_size=6))
def test_area_of_boxes_against_counting_pixels(boxes: list[Box]) -> None:
    drawn = np.zeros((HEIGHT, WIDTH), bool)
    for x1, y1, x2, y2 in boxes:
        drawn[int(y1) : int(y2), int(x1) : int(x2)] = True
    assert ClassRegions("dog", tuple(boxes)).area() == drawn.sum()


def test_area_of_fractions() -> None:
    assert ClassRegions("dog", ((0.5, 0, 2, 1), (1, 0, 2.25, 1))).area() == 1.75


def test_mask_is_the_union() -> None:
    one, other = np.zeros((2, HEIGHT, WIDTH), bool)
    one[2:5, 1:7] = True
    other[4:, 6:9] = True
    regions = encoded(one, other)
    union = regions.mask()
    assert union is not None
    assert union.dtype == bool
    assert (union == (one | other)).all()
    assert regions.area() == (one | other).sum()
    assert ClassRegions("dog", ((0, 0, 1, 1),)).mask() is None


def test_pairs_that_are_not_asked_are_counted_by_reason() -> None:
    photos = [
        AnnotatedPhoto(f"p{number}", Path("p.jpg"), 9, 9, (), not_asked)
        for number, not_asked in enumerate(({"cat": "x", "dog": UNREADABLE}, {"cat": "x"}, {}))
    ]
    data = AnnotatedData(tuple(photos), ("cat", "dog"))
    assert data.left_out == {"x": 2, UNREADABLE: 1}
    assert [bool(photo.without_objects("there")) for photo in photos] == [False, False, True]
    (problem,) = photos[2].without_objects("there")
    assert (problem.where, problem.code) == ("there", "no object")
