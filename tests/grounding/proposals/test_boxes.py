"""Cleaning of proposals against a slow loop."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_prep.errors import UserError
from grounding.proposals.boxes import clean
from grounding.proposals.generators import make_generator

NUMBERS = st.sampled_from([-np.inf, -5.0, 0.0, 1.5, 3.0, 7.0, 8.0, 40.0, np.inf, np.nan])


@settings(max_examples=50)
@example([(3, 3, 8, 7), (0, 0, 8, 7), (3, 3, 9, 9)])  # not sorted, repeated once clipped
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=20))
def test_against_a_slow_loop(rows: list[tuple[float, float, float, float]]) -> None:
    """In a photo of 8×7: clipped, first of equal ones kept, the others counted."""
    kept: list[tuple[float, ...]] = []
    scores, dropped = [], 0
    for place, row in enumerate(rows):
        x1, y1, x2, y2 = row
        box = (min(max(x1, 0), 8), min(max(y1, 0), 7), min(max(x2, 0), 8), min(max(y2, 0), 7))
        if not all(np.isfinite(row)) or box[0] >= box[2] or box[1] >= box[3]:
            dropped += 1
        elif box not in kept:
            kept.append(box)
            scores.append(place)
    found = clean(np.array(rows, np.float64).reshape(-1, 4), np.arange(len(rows)), 8, 7)
    assert found.boxes.dtype == np.float32
    assert found.boxes.shape == (len(kept), 4)
    assert [tuple(box) for box in found.boxes.tolist()] == kept
    assert found.scores is not None
    assert found.scores.tolist() == scores
    assert found.dropped == dropped


def test_without_scores() -> None:
    assert clean(np.array([[0, 0, 2, 2]]), None, 3, 3).scores is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "magic"}, "proposals.kind=magic: give one of selective_search, "),
        ({"kind": "exhaustive"}, "stage=localize looks at all windows"),
        ({"kind": "sliding_windows", "scales": [1], "stride": 1}, "aspect_ratios is missing"),
        ({"kind": "file", "boxes": 3}, "proposals.boxes is no key of proposals=file"),
        ({}, "proposals.kind=None"),
    ],
)
def test_settings_that_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_generator(settings)
