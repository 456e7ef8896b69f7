"""Attention maps as pictures: heat over a photo, and a contact sheet of photos and words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHARES = np.linspace(0, 1, 256)  # of a map's maximum
COLOURS = mpl.colormaps["inferno"](SHARES, bytes=True)[:, :3]  # (256, 3) uint8
GREY = 0.6  # the photo's brightness under the heat: bright things must not look attended
WEIGHTS = (255 * (0.25 + 0.55 * np.sqrt(SHARES))).astype(np.uint8)  # heat's share of the blend

TILE_HEIGHT = 240  # of a contact sheet's pictures; pixels, as below
TILE_WIDTH = 400  # at most
TILES_PER_LINE = 4  # beside the photo
LABEL_HEIGHT = 30
GAP = 12
INK = "#222222"
POINT = "#ffffff"
POINT_ARM = 9  # of the cross at a map's maximum, from its middle; pixels
TRUTH = "#4cc9ff"
FONT = ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 17)


def overlay(image: Image.Image, attention: np.ndarray) -> Image.Image:
    """Lay attention as heat over a photo in dark grey.

    The stronger the attention, the less of the photo shines through. The colours are
    perceptually even and relative to the map's maximum; a map of zeros shows no heat.

    Parameters
    ----------
    image : PIL.Image.Image
        The photo, mode RGB.
    attention : ndarray (H, W)
        At the photo's size, not negative.

    Returns
    -------
    PIL.Image.Image
        RGB at the photo's size.
    """
    if attention.shape != (image.height, image.width):
        raise ValueError(f"attention {attention.shape} is not at the photo's {image.size[::-1]}")
    levels = (255 * (attention / (attention.max() or 1))).astype(np.uint8)
    heat = Image.fromarray(COLOURS[levels])
    grey = image.convert("L").point([round(GREY * value) for value in range(256)])
    return Image.composite(heat, grey.convert("RGB"), Image.fromarray(WEIGHTS[levels]))


def contact_row(image: Image.Image, maps: Mapping[str, np.ndarray]) -> Image.Image:
    """Draw a small photo and, right of it, an overlay for each map with its word below.

    Parameters
    ----------
    image : PIL.Image.Image
        The photo, mode RGB.
    maps : mapping of str to ndarray (H, W)
        Word to attention, as for `overlay`.

    Returns
    -------
    PIL.Image.Image
        RGB; more than `TILES_PER_LINE` words take several lines.
    """
    scale = min(TILE_HEIGHT / image.height, TILE_WIDTH / image.width)
    size = (max(1, round(scale * image.width)), max(1, round(scale * image.height)))
    small = image.resize(size)
    tiles = []
    for word, attention in maps.items():
        reduced = Image.fromarray(attention).resize(size, Image.Resampling.BILINEAR)
        tiles.append(tile(overlay(small, np.asarray(reduced)), word))
    photo = tile(small, "")
    across, down = photo.width + GAP, photo.height + GAP
    lines = max(1, -(-len(tiles) // TILES_PER_LINE))
    columns = 1 + min(len(tiles), TILES_PER_LINE)
    row = Image.new("RGB", (columns * across - GAP, lines * down - GAP), "white")
    row.paste(photo)
    for i, each in enumerate(tiles):
        line, column = divmod(i, TILES_PER_LINE)
        row.paste(each, ((1 + column) * across, line * down))
    return row


def contact_sheet(rows: Sequence[Image.Image]) -> Image.Image:
    """Stack contact rows on a white sheet."""
    width = max(row.width for row in rows) + 2 * GAP
    height = sum(row.height + GAP for row in rows) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    y = GAP
    for row in rows:
        sheet.paste(row, (GAP, y))
        y += row.height + GAP
    return sheet


def photo_sheet(photos: Sequence[tuple[Image.Image, str]], columns: int = 8) -> Image.Image:
    """Draw small photos, each with its label, in lines on a white sheet."""
    tiles = []
    for photo, label in photos:
        scale = min(TILE_HEIGHT / photo.height, TILE_HEIGHT / photo.width)
        size = (max(1, round(scale * photo.width)), max(1, round(scale * photo.height)))
        tiles.append(tile(photo.resize(size), label))
    across, down = TILE_HEIGHT + GAP, TILE_HEIGHT + LABEL_HEIGHT + GAP
    lines = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (min(len(tiles), columns) * across, lines * down), "white")
    for i, each in enumerate(tiles):
        line, column = divmod(i, columns)
        sheet.paste(each, (column * across + (across - each.width) // 2, line * down + GAP // 2))
    return sheet


def tile(
    picture: Image.Image, label: str, colour: str = INK, least: int = TILE_HEIGHT // 2
) -> Image.Image:
    """Put a label, shortened to fit, under a picture; so many pixels wide, or as the picture."""
    width = max(picture.width, least)
    drawn = Image.new("RGB", (width, picture.height + LABEL_HEIGHT), "white")
    drawn.paste(picture, ((width - picture.width) // 2, 0))
    shown = label
    while FONT.getlength(shown) > width:
        label = label[:-1]
        shown = label.rstrip() + "…"
    centre = (width // 2, picture.height + LABEL_HEIGHT // 2)
    ImageDraw.Draw(drawn).text(centre, shown, fill=colour, font=FONT, anchor="mm")
    return drawn


def mark_point(picture: Image.Image, x: float, y: float) -> None:
    """Draw a white cross with a black rim, seen on any ground, where a map has its maximum.

    Parameters
    ----------
    picture : PIL.Image.Image
        Mode RGB; drawn into.
    x, y : float
        The cross's middle, in the picture's pixels.
    """
    draw = ImageDraw.Draw(picture)
    for colour, rim in (("black", 2), (POINT, 0)):
        for across, down in ((POINT_ARM, 1), (1, POINT_ARM)):
            corners = (x - across - rim, y - down - rim, x + across + rim, y + down + rim)
            draw.rectangle([round(corner) for corner in corners], fill=colour)


def outline_box(picture: Image.Image, corners: Sequence[float]) -> None:
    """Draw a box's outline with a dark rim.

    Parameters
    ----------
    picture : PIL.Image.Image
        Mode RGB; drawn into.
    corners : (x1, y1, x2, y2)
        Half-open, in the picture's pixels.
    """
    left, top, right, bottom = (round(corner) for corner in corners)
    right, bottom = max(left, right - 1), max(top, bottom - 1)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=4)
    draw.rectangle((left, top, right, bottom), outline=TRUTH, width=2)


def outline_mask(picture: Image.Image, mask: np.ndarray) -> None:
    """Draw a mask's outline, inside of the mask, with a dark rim around it.

    Parameters
    ----------
    picture : PIL.Image.Image
        Mode RGB; drawn into.
    mask : ndarray (H, W) of bool
        At any size; enlarged or reduced to the picture's.
    """
    shown = np.asarray(Image.fromarray(mask.astype(bool)).resize(picture.size))
    inner = _eroded(_eroded(shown))
    outer = ~_eroded(_eroded(~shown, True), True)
    picture.paste("black", mask=Image.fromarray(outer & ~inner))
    picture.paste(TRUTH, mask=Image.fromarray(shown & ~inner))


def _eroded(mask: np.ndarray, around: bool = False) -> np.ndarray:
    """Keep what has all four neighbours, with `around` as what lies around the picture."""
    wide = np.pad(mask, 1, constant_values=around)
    neighbours = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return np.asarray(mask & neighbours)
