"""Boxes of dominant objects against flood fill, by hand, and the tuning against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from grounding.dominant import (
    FACTORS,
    best_overlaps,
    centre_box,
    component_boxes,
    dominant_boxes,
    tune,
    whole_image,
)

NONE = [0, 0, 0, 0]
TRUE_OR_FALSE = st.sampled_from([0.0, 1.0])


def flood_fill(inside: np.ndarray) -> list[int]:
    """Box of the largest component, of equals the first in reading order; pixel by pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(inside)}
    best: list[tuple[int, int]] = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        component, edge = [start], [start]
        while edge:
            y, x = edge.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            component += near
            edge += near
        if len(component) > len(best):
            best = component
    if not best:
        return NONE
    ys, xs = zip(*best, strict=True)
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def drawn(*rows: str) -> np.ndarray:
    """Digits as a map."""
    return np.array([[float(digit) for digit in row] for row in rows], np.float32)


@given(arrays(np.float32, (7, 9), elements=st.integers(0, 5).map(float)))
def test_components_are_those_of_flood_fill(attention: np.ndarray) -> None:
    levels = np.array([0.0, 0.5, 1, 2, 2.5, 4, 5, 6])
    expected = [flood_fill(attention >= level) for level in levels]
    assert component_boxes(attention, levels).tolist() == expected


@given(arrays(np.float32, (16, 16), elements=TRUE_OR_FALSE))
def test_equal_components_go_by_reading_order(attention: np.ndarray) -> None:
    expected = flood_fill(attention >= 0.5)
    assert component_boxes(attention, np.array([0.5])).tolist() == [expected]


@given(arrays(np.float32, (6, 5), elements=st.floats(0, 100, width=32)))
def test_every_factor_is_tried_by_itself(attention: np.ndarray) -> None:
    for kind, factors in FACTORS.items():
        whole = attention.max() if kind == "max" else attention.mean(dtype=np.float64)
        levels = (factors * float(whole)).astype(np.float32)
        expected = [flood_fill(attention >= level) if whole > 0 else NONE for level in levels]
        assert dominant_boxes(attention, kind).tolist() == expected


def test_of_two_blobs_the_larger_counts_not_the_stronger() -> None:
    attention = drawn(
        "0000000",
        "0440090",
        "0440000",
        "0440000",
    )
    boxes = dominant_boxes(attention, "max")
    by_factor = dict(zip(FACTORS["max"].round(2).tolist(), boxes.tolist(), strict=True))
    assert by_factor[0.44] == [1, 1, 3, 4]
    assert by_factor[0.46] == [5, 1, 6, 2]


def test_corners_connect_and_borders_count() -> None:
    attention = drawn(
        "10001",
        "01000",
        "00000",
        "11000",
    )
    assert component_boxes(attention, np.array([1.0])).tolist() == [[0, 0, 2, 2]]
    assert component_boxes(attention.T.copy(), np.array([1.0])).tolist() == [[0, 0, 2, 2]]
    assert component_boxes(attention[::-1].copy(), np.array([1.0])).tolist() == [[0, 0, 2, 1]]


def test_a_full_map_is_the_whole_photo_until_the_threshold_is_above() -> None:
    attention = np.full((4, 6), 0.3, np.float32)
    assert dominant_boxes(attention, "max").tolist() == [[0, 0, 6, 4]] * len(FACTORS["max"])
    for factor, box in zip(FACTORS["mean"], dominant_boxes(attention, "mean"), strict=True):
        assert box.tolist() == ([0, 0, 6, 4] if factor <= 1 else NONE)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -1.0])
@pytest.mark.parametrize("kind", list(FACTORS))
def test_degenerate_maps_have_no_box_and_miss(value: float, kind: str) -> None:
    attention = np.zeros((4, 6), np.float32)
    attention[1, 2] = value
    boxes = dominant_boxes(attention, kind)
    assert not boxes.any()
    assert len(boxes) == len(FACTORS[kind])
    assert best_overlaps(boxes, [(0, 0, 6, 4)]).tolist() == [0] * len(boxes)
    assert not dominant_boxes(np.zeros((0, 3), np.float32), kind).any()


def test_overlap_is_the_best_of_the_class() -> None:
    found = best_overlaps(np.array([[0, 0, 4, 4], [6, 6, 8, 8]]), [(0, 0, 4, 2), (6, 6, 8, 9.0)])
    assert found == pytest.approx([0.5, 2 / 3])


@given(
    arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(0, 1))
)
def test_tuning_is_brute_force(overlap: np.ndarray) -> None:
    found = tune(overlap)
    errors = [sum(iou < 0.5 for iou in column) / len(column) for column in overlap.T]
    assert found.errors.tolist() == pytest.approx(errors)
    best = [place for place, error in enumerate(errors) if error == min(errors)]
    assert sum(place < found.index for place in best) == len(best) // 2
    assert found.index in best


def test_half_counts_as_a_hit() -> None:
    assert tune(np.array([[0.5, 0.49]])).errors.tolist() == [0, 1]


def test_simple_boxes() -> None:
    assert whole_image(40, 30) == (0, 0, 40, 30)
    assert centre_box(40, 30) == (10, 7.5, 30, 22.5)
