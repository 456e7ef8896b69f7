import numpy as np
import pytest
from PIL import Image, ImageColor
from skimage import data

from grounding.drawing import (
    COLOURS,
    POINT,
    TRUTH,
    contact_row,
    contact_sheet,
    mark_point,
    outline_box,
    outline_mask,
    overlay,
    photo_sheet,
)

COFFEE = Image.fromarray(data.coffee())  # 600×400


def bump(x: int, y: int, image: Image.Image = COFFEE) -> np.ndarray:
    rows, columns = np.mgrid[: image.height, : image.width]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 5000).astype(np.float32)


def test_overlay_is_hot_at_the_peak_and_grey_elsewhere() -> None:
    picture = np.asarray(overlay(COFFEE, bump(400, 100))).astype(int)
    assert picture.shape == (400, 600, 3)
    redness = picture[..., 0] - picture[..., 2]
    assert np.abs(redness[300:, :100]).max() <= 2  # grey photo
    assert redness[100, 400] > 60
    assert redness[90:110, 390:410].mean() > redness[90:110, 250:270].mean()


def test_overlay_does_not_depend_on_the_maps_scale() -> None:
    pictures = [overlay(COFFEE, bump(400, 100) * np.float32(2.0**k)) for k in (-100, 0, 100)]
    assert pictures[0] == pictures[1] == pictures[2]


def test_colours_grow_lighter_with_attention() -> None:
    luma = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) > -0.6).all()
    assert luma[-1] - luma[0] > 200


def test_no_attention_shows_no_heat() -> None:
    picture = np.asarray(overlay(COFFEE, np.zeros((400, 600), np.float32))).astype(int)
    assert np.abs(picture[..., 0] - picture[..., 2]).max() <= 2
    assert picture.std() > 20  # the photo is still there


def test_a_bright_photo_does_not_look_attended() -> None:
    white = Image.new("RGB", (60, 40), "white")
    one = np.zeros((40, 60), np.float32)
    one[20, 30] = 1
    luma = np.asarray(overlay(white, one).convert("L")).astype(int)
    assert luma[20, 30] > 1.5 * luma[0, 0]
    assert (luma < 128).sum() == luma.size - 1


def test_attention_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="photo's"):
        overlay(COFFEE, np.zeros((600, 400), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (600, 400)])
@pytest.mark.parametrize("words", [[], ["espresso"], [f"a rather long word {i}" for i in range(9)]])
def test_contact_row_of_any_shape(size: tuple[int, int], words: list[str]) -> None:
    photo = COFFEE.resize(size)
    row = contact_row(photo, {word: bump(0, 0, photo) for word in words})
    assert row.mode == "RGB"
    assert 20 < row.width < 2200
    assert 20 < row.height < 900


def test_every_word_has_its_tile_and_label() -> None:
    row = contact_row(COFFEE, {"cup": bump(100, 200), "spoon": bump(500, 200)})
    pixels = np.asarray(row).astype(int)
    width = (row.width - 2 * 12) // 3  # photo, cup, spoon, with gaps between
    heat = pixels[..., 0] - pixels[..., 2]
    for i, x in ((1, 100), (2, 500)):
        tile = heat[:240, i * (width + 12) : i * (width + 12) + width]
        assert abs(tile.mean(axis=0).argmax() / width - x / 600) < 0.1
        label = pixels[240:, i * (width + 12) : i * (width + 12) + width]
        assert label.min() < 100
    assert pixels[240:, :width].min() == 255  # the photo has none


def test_contact_sheet_holds_its_rows() -> None:
    rows = [Image.new("RGB", (100, 30), "red"), Image.new("RGB", (200, 40), "blue")]
    sheet = contact_sheet(rows)
    counts = {colour: count for count, colour in sheet.getcolors() or []}
    assert counts[255, 0, 0] == 100 * 30
    assert counts[0, 0, 255] == 200 * 40


def test_photo_sheet_holds_photos_and_labels() -> None:
    colours = ["red", "lime", "blue", "cyan", "magenta"]
    photos = [(Image.new("RGB", (480, 240), colour), f"{colour} things") for colour in colours]
    sheet = photo_sheet(photos, columns=2)
    counts = {colour: count for count, colour in sheet.getcolors(1 << 20) or []}
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (255, 0, 255)):
        assert counts[colour] == 240 * 120
    columns, lines = sheet.width // 2, sheet.height // 3
    pixels = np.asarray(sheet)
    for number in range(6):
        line, column = divmod(number, 2)
        cell = pixels[line * lines : (line + 1) * lines, column * columns : (column + 1) * columns]
        has_label = (cell.max(axis=2) < 100).any()
        assert has_label == (number < 5)


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
def test_photo_sheet_of_odd_photos(size: tuple[int, int]) -> None:
    sheet = photo_sheet([(Image.new("RGB", size), "")])
    assert (sheet.width, sheet.height) < (300, 300)


@pytest.mark.parametrize("ground", ["white", "black", "#888888"])
def test_point_is_seen_on_any_ground(ground: str) -> None:
    picture = Image.new("RGB", (60, 40), ground)
    mark_point(picture, 30, 20)
    assert picture.getpixel((30, 20)) == ImageColor.getrgb(POINT)
    colours = {colour for _, colour in picture.crop((15, 5, 45, 35)).getcolors() or []}
    assert {(0, 0, 0), (255, 255, 255)} <= colours
    assert picture.getpixel((5, 5)) == ImageColor.getrgb(ground)


def test_point_at_a_corner_is_marked() -> None:
    picture = Image.new("RGB", (60, 40), "gray")
    mark_point(picture, 0, 39)
    assert picture.getpixel((0, 39)) == ImageColor.getrgb(POINT)


def test_box_outline_lies_on_the_boxs_last_pixels() -> None:
    picture = Image.new("RGB", (60, 40), "gray")
    outline_box(picture, (10, 5, 50, 35))
    for corner in ((10, 5), (49, 5), (10, 34), (49, 34)):
        assert picture.getpixel(corner) == ImageColor.getrgb(TRUTH)
    assert picture.getpixel((9, 20)) == picture.getpixel((50, 20)) == (0, 0, 0)
    assert picture.getpixel((30, 20)) == ImageColor.getrgb("gray")


def test_mask_outline_is_its_rim() -> None:
    rows, columns = np.mgrid[:60, :80]
    mask = (columns - 40) ** 2 + (rows - 30) ** 2 < 400
    picture = Image.new("RGB", (80, 60), "gray")
    outline_mask(picture, mask)
    pixels = np.asarray(picture)
    outline = (pixels == ImageColor.getrgb(TRUTH)).all(axis=2)
    distance = np.hypot(columns - 40, rows - 30)
    assert outline.any()
    assert (distance[outline] > 16).all()
    assert (distance[outline] < 20).all()
    rim = (pixels == 0).all(axis=2)
    assert rim[~mask & (distance < 21)].all()
    assert not rim[mask].any()


def test_mask_of_the_whole_photo_has_an_outline() -> None:
    picture = Image.new("RGB", (80, 60), "gray")
    outline_mask(picture, np.ones((30, 40), bool))
    assert picture.getpixel((0, 0)) == ImageColor.getrgb(TRUTH)
    assert picture.getpixel((40, 30)) == ImageColor.getrgb("gray")
