"""Contact sheets of the pointing game: what each method looked at, and whether it hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from grounding.drawing import (
    FONT,
    GAP,
    LABEL_HEIGHT,
    mark_point,
    outline_box,
    outline_mask,
    overlay,
    tile,
)
from grounding.pointing import Box, Point

SIDE = 240  # of a picture's longer side at most; pixels
MAX_WIDTH = 4000
HIT, MISS = "#1a7f37", "#cf222e"
FRAME = 5
QUALITY = 88


@dataclass(frozen=True)
class MethodMap:
    """What a method made of an example.

    Attributes
    ----------
    attention : ndarray (H, W) or None
        The map on any grid that covers the photo; what is negative shows as no attention. None
        where the method has none, such as the centre.
    point : tuple of int or None
        Its maximum as (x, y), in the photo's pixels. None for a degenerate map, which is not
        shown.
    hit : bool
        Whether the point fell on the class.
    """

    attention: np.ndarray | None
    point: Point | None
    hit: bool


@dataclass(frozen=True)
class Example:
    """A class asked of a photo.

    Attributes
    ----------
    photo : PIL.Image.Image
        Mode RGB.
    label : str
        The class.
    maps : mapping of str to MethodMap
        By the method's name, as shown.
    boxes : sequence of (x1, y1, x2, y2)
        Of the class, half-open, in the photo's pixels.
    masks : sequence of ndarray (H, W) of bool
        Of the class, at the photo's size; drawn instead of the boxes where there are any.
    """

    photo: Image.Image
    label: str
    maps: Mapping[str, MethodMap]
    boxes: Sequence[Box] = ()
    masks: Sequence[np.ndarray] = field(default=())


def example_sheet(examples: Sequence[Example], path: Path) -> None:
    """Draw a line for each example: the photo with the class's outline, then each method's map.

    A cross marks the map's maximum; frame and label are green with ✓ for a hit, red with ✗ for a
    miss. A method has the same column on every line, where it has no map an empty one.

    Parameters
    ----------
    examples : sequence of Example
        One or more; lines of the sheet.
    path : Path
        To write; its suffix says how (.jpg, .png). At most 4000 pixels wide.
    """
    methods = list(dict.fromkeys(name for example in examples for name in example.maps))
    column = min(SIDE + GAP, (MAX_WIDTH - GAP) // (1 + len(methods)))
    rows = [_row(example, methods, column) for example in examples]
    height = sum(row.height + GAP for row in rows) + GAP
    sheet = Image.new("RGB", (rows[0].width + 2 * GAP, height), "white")
    y = GAP
    for row in rows:
        sheet.paste(row, (GAP, y))
        y += row.height + GAP
    sheet.save(path, quality=QUALITY)


def _row(example: Example, methods: Sequence[str], column: int) -> Image.Image:
    side = column - GAP
    scale = side / max(example.photo.size)
    small = example.photo.resize([max(1, round(scale * length)) for length in example.photo.size])
    row = Image.new(
        "RGB", (column * (1 + len(methods)) - GAP, small.height + LABEL_HEIGHT), "white"
    )
    tiles = {0: tile(_with_truth(small, example, scale), example.label)}
    for place, name in enumerate(methods, 1):
        if name in example.maps:
            tiles[place] = _method_tile(small, name, example.maps[name], scale)
    for place, each in tiles.items():
        row.paste(each, (place * column + (side - each.width) // 2, 0))
    return row


def _with_truth(small: Image.Image, example: Example, scale: float) -> Image.Image:
    picture = small.copy()
    for mask in example.masks:
        outline_mask(picture, mask)
    if not example.masks:
        for box in example.boxes:
            outline_box(picture, [scale * corner for corner in box])
    return picture


def _method_tile(small: Image.Image, name: str, made: MethodMap, scale: float) -> Image.Image:
    attention = np.zeros((small.height, small.width), np.float32)
    if made.point is not None and made.attention is not None:
        grid = Image.fromarray(np.clip(made.attention, 0, None).astype(np.float32))
        attention = np.asarray(grid.resize(small.size, Image.Resampling.BILINEAR))
    picture = overlay(small, attention)
    colour = HIT if made.hit else MISS
    ImageDraw.Draw(picture).rectangle(
        (0, 0, picture.width - 1, picture.height - 1), outline=colour, width=FRAME
    )
    if made.point is None:
        _write_across(picture, "no maximum")
    else:
        x, y = made.point
        mark_point(picture, scale * (x + 0.5) - 0.5, scale * (y + 0.5) - 0.5)
    return tile(picture, f"{'✓' if made.hit else '✗'} {name}", colour)


def _write_across(picture: Image.Image, text: str) -> None:
    draw = ImageDraw.Draw(picture)
    middle = picture.width // 2, picture.height // 2
    draw.text(
        middle, text, fill="white", font=FONT, anchor="mm", stroke_width=3, stroke_fill="black"
    )
