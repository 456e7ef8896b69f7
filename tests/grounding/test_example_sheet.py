from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from grounding.drawing import GAP, POINT, TRUTH
from grounding.example_sheet import (
    HIT,
    METHODS_PER_LINE,
    MISS,
    SIDE,
    Example,
    MethodMap,
    _reduced,
    example_sheet,
    legend,
)

PHOTO = Image.new("RGB", (480, 240), "#808080")


def bump(column: int) -> np.ndarray:
    made = np.zeros((7, 14), np.float32)
    made[3, column] = 1
    return made


def sheet(path: Path, *examples: Example) -> np.ndarray:
    example_sheet(examples, path)
    return np.asarray(Image.open(path))


def cell(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    """A tile with its label, of photos twice as wide as high, on sheets of one line each."""
    top = 2 * GAP + legend(pixels.shape[1] - 2 * GAP).height + row * (SIDE // 2 + 30 + GAP)
    left = GAP + column * (SIDE + GAP)
    return pixels[top : top + SIDE // 2 + 30, left : left + SIDE]


def has(pixels: np.ndarray, colour: str) -> bool:
    return bool((pixels == ImageColor.getrgb(colour)).all(axis=-1).any())


def test_point_frame_and_label_tell_hit_from_miss(tmp_path: Path) -> None:
    maps = {
        "good": MethodMap(bump(2), (80, 130), True),
        "bad": MethodMap(bump(12), (420, 130), False),
    }
    pixels = sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps))
    for column, x, colour, other in ((1, 33, HIT, MISS), (2, 175, MISS, HIT)):
        tile = cell(pixels, 0, column)
        assert tuple(tile[54, x]) == ImageColor.getrgb(POINT)
        assert has(tile[49:59, x - 12 : x + 13], "#000000")  # rim
        assert tuple(tile[1, 100]) == ImageColor.getrgb(colour)
        assert has(tile[100:], colour)
        assert not has(tile, other)
    assert not (cell(pixels, 0, 1)[100:] == cell(pixels, 0, 2)[100:]).all()


def test_heat_lies_where_the_map_is_large(tmp_path: Path) -> None:
    maps = {"cam": MethodMap(bump(2), (400, 40), False)}
    tile = cell(sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps)), 0, 1)[10:90, 10:-10]
    heat = tile[..., 0].astype(int) - tile[..., 2]
    assert abs(int(heat.max(axis=0).argmax()) + 10 - SIDE * 2.5 / 14) < 12


def test_degenerate_map_is_grey_and_said(tmp_path: Path) -> None:
    maps = {"wta": MethodMap(np.full((7, 7), np.nan, np.float32), None, False)}
    tile = cell(sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps)), 0, 1)
    inside = tile[8:92, 8:-8].astype(int)
    assert np.ptp(inside, axis=-1).max() <= 1  # the darkest heat is all but black
    assert (inside[30:54] == 255).any()


def test_columns_stay_where_a_method_is_missing(tmp_path: Path) -> None:
    made = MethodMap(None, (240, 120), True)
    pixels = sheet(
        tmp_path / "a.png",
        Example(PHOTO, "cat", {"a": made, "b": made}),
        Example(PHOTO, "dog", {"b": made}),
    )
    assert (cell(pixels, 1, 1) == 255).all()
    assert (cell(pixels, 1, 2) == cell(pixels, 0, 2)).all()


def test_many_methods_go_on_in_the_next_line(tmp_path: Path) -> None:
    maps = {f"m{i}": MethodMap(None, None, i == 7) for i in range(8)}
    pixels = sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps), Example(PHOTO, "dog", maps))
    assert pixels.shape[1] == (1 + METHODS_PER_LINE) * (SIDE + GAP) + GAP
    for row, column, expected in ((0, 1, MISS), (0, 6, MISS), (1, 1, MISS), (1, 2, HIT)):
        tile = cell(pixels, row, column)
        assert has(tile, expected)
        assert has(tile, HIT) == (expected == HIT)
    assert (cell(pixels, 1, 0) == 255).all()  # below the photo
    assert (cell(pixels, 1, 3) == 255).all()
    assert (cell(pixels, 2, 1) == cell(pixels, 0, 1)).all()


@pytest.mark.parametrize("width", [400, 1500])
def test_the_legend_shows_every_mark_in_full(width: int) -> None:
    drawn = np.asarray(legend(width))
    assert drawn.shape[1] == width
    for colour in (TRUTH, POINT, HIT, MISS):
        assert has(drawn, colour)
    assert (drawn[:, -1] == 255).all()  # no text is cut off


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
def test_odd_photos_and_many_methods(tmp_path: Path, size: tuple[int, int]) -> None:
    maps = {f"a long name of method {i}": MethodMap(bump(1), (0, 0), True) for i in range(25)}
    pixels = sheet(tmp_path / "a.jpg", Example(Image.new("RGB", size), "cat", maps))
    assert pixels.shape[1] < 1500


def test_same_examples_same_file(tmp_path: Path) -> None:
    example = Example(PHOTO, "cat", {"cam": MethodMap(bump(3), (9, 9), True)}, [(0, 0, 50, 50)])
    for name in ("a.jpg", "b.jpg"):
        example_sheet([example], tmp_path / name)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_a_single_pixel_of_a_fine_map_stays_to_be_seen() -> None:
    fine = np.zeros((240, 480), np.float32)
    fine[100, 200] = 1
    small = _reduced(fine, (48, 24))
    assert small.shape == (24, 48)
    assert small.max() == 1  # the mean of the ten by ten pixels would be 0.01
    y, x = np.unravel_index(small.argmax(), small.shape)
    assert abs(y - 10) <= 1
    assert abs(x - 20) <= 1


def test_a_coarse_map_is_only_enlarged() -> None:
    expected = Image.fromarray(bump(4)).resize((48, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(_reduced(bump(4), (48, 24)), np.asarray(expected))
