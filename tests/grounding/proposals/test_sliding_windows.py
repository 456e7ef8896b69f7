"""Sliding windows against a slow loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.sliding_windows import SlidingWindows


def slow_windows(
    width: int, height: int, scale: float, ratio: float, stride: float
) -> list[tuple[float, ...]]:
    """Move a window by the largest even step that is no more than the stride."""
    w = min(width, math.sqrt(scale * width * height * ratio))
    h = min(height, math.sqrt(scale * width * height / ratio))
    steps = []
    for length, side in ((width, w), (height, h)):
        n = 0
        while n == 0 or (length - side) / n > stride * side * (1 + 1e-6):
            n += 1
            if length - side < 1e-9 * side:
                n = 0
                break
        steps.append(n)
    windows: list[tuple[float, ...]] = []
    for row in range(steps[1] + 1):
        for column in range(steps[0] + 1):
            x = (width - w) * column / max(1, steps[0])
            y = (height - h) * row / max(1, steps[1])
            windows.append((x, y, x + w, y + h))
    return windows


@settings(max_examples=40)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.lists(st.floats(0.02, 1), min_size=1, max_size=2),
    st.lists(st.floats(0.2, 5), min_size=1, max_size=2),
    st.floats(0.1, 1),
)
def test_against_a_slow_loop(
    width: int, height: int, scales: list[float], ratios: list[float], stride: float
) -> None:
    windows = SlidingWindows(tuple(scales), tuple(ratios), stride).windows(width, height)
    slow = [
        window
        for scale in scales
        for ratio in ratios
        for window in slow_windows(width, height, scale, ratio, stride)
    ]
    assert windows.shape == (len(slow), 4)
    assert windows == pytest.approx(np.array(slow), abs=1e-6)


def test_by_hand() -> None:
    """A quarter of 8×4 at half steps: 3 places across, 3 down; then the whole photo."""
    found = SlidingWindows((0.25, 1.0), (2.0,), 0.5).generate(Image.new("RGB", (8, 4)), "")
    corners = [(x, y, x + 4, y + 2) for y in (0, 1, 2) for x in (0, 2, 4)]
    assert found.boxes.tolist() == [list(map(float, box)) for box in [*corners, (0, 0, 8, 4)]]
    assert found.scores is None


@pytest.mark.parametrize(
    ("scales", "ratios", "stride", "key"),
    [
        ((), (1,), 0.5, "scales"),
        ((1.5,), (1,), 0.5, "scales"),
        ((0.5,), (0,), 0.5, "aspect_ratios"),
        ((0.5,), ("1:2",), 0.5, "aspect_ratios"),
        ((0.5,), (1,), 0, "stride"),
    ],
)
def test_refused(scales: tuple, ratios: tuple, stride: float, key: str) -> None:
    with pytest.raises(UserError, match=f"^proposals.{key}="):
        SlidingWindows(scales, ratios, stride)


def test_too_many_windows() -> None:
    """A side of a hundredth, at quarter steps: 397 places each way; without memory for them."""
    assert SlidingWindows((0.0001,), (1.0,), 0.25).count(640, 640) == 397**2
    with pytest.raises(UserError, match=r"^proposals.scales, aspect_ratios, stride: 98,029,801 wi"):
        SlidingWindows((0.0001,), (1.0,), 0.01)
