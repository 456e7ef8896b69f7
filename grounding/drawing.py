"""Attention maps as pictures: heat over a photo, and a contact sheet of photos and words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHARES = np.linspace(0, 1, 256)  # of a map's maximum
COLOURS = mpl.colormaps["inferno"](SHARES, bytes=True)[:, :3]  # (256, 3) uint8
WEIGHTS = (255 * (0.25 + 0.55 * np.sqrt(SHARES))).astype(np.uint8)  # heat's share of the blend

TILE_HEIGHT = 240  # of a contact sheet's pictures; pixels, as below
TILE_WIDTH = 400  # at most
TILES_PER_LINE = 4  # beside the photo
LABEL_HEIGHT = 30
GAP = 12
FONT = ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 17)


def overlay(image: Image.Image, attention: np.ndarray) -> Image.Image:
    """Lay attention as heat over a photo in grey.

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
    return Image.composite(
        heat, image.convert("L").convert("RGB"), Image.fromarray(WEIGHTS[levels])
    )


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
        tiles.append(_tile(overlay(small, np.asarray(reduced)), word))
    photo = _tile(small, "")
    across, down = photo.width + GAP, photo.height + GAP
    lines = max(1, -(-len(tiles) // TILES_PER_LINE))
    columns = 1 + min(len(tiles), TILES_PER_LINE)
    row = Image.new("RGB", (columns * across - GAP, lines * down - GAP), "white")
    row.paste(photo)
    for i, tile in enumerate(tiles):
        line, column = divmod(i, TILES_PER_LINE)
        row.paste(tile, ((1 + column) * across, line * down))
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
        tiles.append(_tile(photo.resize(size), label))
    across, down = TILE_HEIGHT + GAP, TILE_HEIGHT + LABEL_HEIGHT + GAP
    lines = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (min(len(tiles), columns) * across, lines * down), "white")
    for i, tile in enumerate(tiles):
        line, column = divmod(i, columns)
        sheet.paste(tile, (column * across + (across - tile.width) // 2, line * down + GAP // 2))
    return sheet


def _tile(picture: Image.Image, label: str) -> Image.Image:
    """Put a label, shortened to fit, under a picture."""
    width = max(picture.width, TILE_HEIGHT // 2)
    tile = Image.new("RGB", (width, picture.height + LABEL_HEIGHT), "white")
    tile.paste(picture, ((width - picture.width) // 2, 0))
    shown = label
    while FONT.getlength(shown) > width:
        label = label[:-1]
        shown = label.rstrip() + "…"
    centre = (width // 2, picture.height + LABEL_HEIGHT // 2)
    ImageDraw.Draw(tile).text(centre, shown, fill="#222222", font=FONT, anchor="mm")
    return tile
