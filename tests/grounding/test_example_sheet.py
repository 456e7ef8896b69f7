from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from grounding.drawing import GAP, POINT
from grounding.example_sheet import HIT, MISS, SIDE, Example, MethodMap, example_sheet

PHOTO = Image.new("RGB", (480, 240), "#808080")


def bump(column: int) -> np.ndarray:
    made = np.zeros((7, 14), np.float32)
    made[3, column] = 1
    return made


def sheet(path: Path, *examples: Example) -> np.ndarray:
    example_sheet(examples, path)
    return np.asarray(Image.open(path))


def cell(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    """A tile with its label, of photos twice as wide as high."""
    top = GAP + row * (SIDE // 2 + 30 + GAP)
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
    for column, x, colour, other in ((1, 40, HIT, MISS), (2, 210, MISS, HIT)):
        tile = cell(pixels, 0, column)
        assert tuple(tile[65, x]) == ImageColor.getrgb(POINT)
        assert has(tile[60:70, x - 12 : x + 13], "#000000")  # rim
        assert tuple(tile[1, 100]) == ImageColor.getrgb(colour)
        assert has(tile[120:], colour)
        assert not has(tile, other)
    assert not (cell(pixels, 0, 1)[120:] == cell(pixels, 0, 2)[120:]).all()


def test_heat_lies_where_the_map_is_large(tmp_path: Path) -> None:
    maps = {"cam": MethodMap(bump(2), (400, 40), False)}
    tile = cell(sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps)), 0, 1)[10:110, 10:-10]
    heat = tile[..., 0].astype(int) - tile[..., 2]
    assert abs(int(heat.max(axis=0).argmax()) + 10 - 240 * 2.5 / 14) < 12


def test_degenerate_map_is_grey_and_said(tmp_path: Path) -> None:
    maps = {"wta": MethodMap(np.full((7, 7), np.nan, np.float32), None, False)}
    tile = cell(sheet(tmp_path / "a.png", Example(PHOTO, "cat", maps)), 0, 1)
    inside = tile[8:112, 8:-8].astype(int)
    assert np.ptp(inside, axis=-1).max() <= 1  # the darkest heat is all but black
    assert (inside[40:64] == 255).any()


def test_columns_stay_where_a_method_is_missing(tmp_path: Path) -> None:
    made = MethodMap(None, (240, 120), True)
    pixels = sheet(
        tmp_path / "a.png",
        Example(PHOTO, "cat", {"a": made, "b": made}),
        Example(PHOTO, "dog", {"b": made}),
    )
    assert (cell(pixels, 1, 1) == 255).all()
    assert (cell(pixels, 1, 2) == cell(pixels, 0, 2)).all()


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
def test_odd_photos_and_many_methods(tmp_path: Path, size: tuple[int, int]) -> None:
    maps = {f"method {i}": MethodMap(bump(1), (0, 0), True) for i in range(25)}
    pixels = sheet(tmp_path / "a.jpg", Example(Image.new("RGB", size), "cat", maps))
    assert pixels.shape[1] <= 4000


def test_same_examples_same_file(tmp_path: Path) -> None:
    example = Example(PHOTO, "cat", {"cam": MethodMap(bump(3), (9, 9), True)}, [(0, 0, 50, 50)])
    for name in ("a.jpg", "b.jpg"):
        example_sheet([example], tmp_path / name)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
