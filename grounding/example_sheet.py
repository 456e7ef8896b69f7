"""Sheets of examples of the pointing game: what each method looked at, and whether it hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from grounding.drawing import (
    COLOURS,
    FONT,
    GAP,
    INK,
    LABEL_HEIGHT,
    mark_point,
    outline_box,
    outline_mask,
    overlay,
    tile,
)
from grounding.pointing import Box, Point

SIDE = 200  # of a picture's longer side; pixels
METHODS_PER_LINE = 6  # beside the photo: a sheet fits a window of 1,280 pixels and can be read
HIT, MISS = "#1a7f37", "#cf222e"
FRAME = 5
SWATCH = 40, 22  # of the legend; pixels
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
    """Draw for each example the photo with the class's outline, and beside it each method's map.

    A cross marks the map's maximum; frame and label are green with ✓ for a hit, red with ✗ for a
    miss; a legend above says so. A method has the same place beside every photo, where it has no
    map an empty one.

    Parameters
    ----------
    examples : sequence of Example
        One or more; below each other.
    path : Path
        To write; its suffix says how (.jpg, .png).
    """
    methods = list(dict.fromkeys(name for example in examples for name in example.maps))
    width = (1 + min(len(methods), METHODS_PER_LINE)) * (SIDE + GAP) - GAP
    rows = [legend(width), *(_row(example, methods, width) for example in examples)]
    height = sum(row.height + GAP for row in rows) + GAP
    sheet = Image.new("RGB", (width + 2 * GAP, height), "white")
    y = GAP
    for row in rows:
        sheet.paste(row, (GAP, y))
        y += row.height + GAP
    sheet.save(path, quality=QUALITY)


def legend(width: int) -> Image.Image:
    """Explain what is drawn, in as many lines of this width, in pixels, as it takes."""
    places = []
    x = y = 0
    for swatch, text, colour in _swatches():
        length = swatch.width + GAP // 2 + round(FONT.getlength(text))
        if x and x + length > width:
            x, y = 0, y + LABEL_HEIGHT
        places.append((x, y, swatch, text, colour))
        x += length + 2 * GAP
    drawn = Image.new("RGB", (width, y + LABEL_HEIGHT), "white")
    for x, y, swatch, text, colour in places:
        drawn.paste(swatch, (x, y + (LABEL_HEIGHT - swatch.height) // 2))
        beside = x + swatch.width + GAP // 2, y + LABEL_HEIGHT // 2
        ImageDraw.Draw(drawn).text(beside, text, fill=colour, font=FONT, anchor="lm")
    return drawn


def _swatches() -> list[tuple[Image.Image, str, str]]:
    """Picture, words and their colour."""
    width, height = SWATCH
    truth, point, hit, miss = (Image.new("RGB", SWATCH, "#9a9a9a") for _ in range(4))
    outline_box(truth, (3, 3, width - 3, height - 3))
    mark_point(point, width / 2, height / 2)
    _frame(hit, HIT)
    _frame(miss, MISS)
    heat = Image.fromarray(COLOURS[None]).resize((2 * width, height))
    return [
        (truth, "the class as annotated", INK),
        (point, "the map's maximum", INK),
        (hit, "✓ hit", HIT),
        (miss, "✗ miss", MISS),
        (heat, "the map, low to high", INK),
    ]


def _row(example: Example, methods: Sequence[str], width: int) -> Image.Image:
    """Draw the photo and, right of it, the methods in as many lines as it takes."""
    scale = SIDE / max(example.photo.size)
    small = example.photo.resize([max(1, round(scale * length)) for length in example.photo.size])
    across, down = SIDE + GAP, small.height + LABEL_HEIGHT + GAP
    lines = max(1, -(-len(methods) // METHODS_PER_LINE))
    row = Image.new("RGB", (width, lines * down - GAP), "white")
    truth = tile(_with_truth(small, example, scale), example.label, least=SIDE)
    row.paste(truth, (0, 0))
    for number, name in enumerate(methods):
        if name in example.maps:
            line, column = divmod(number, METHODS_PER_LINE)
            made = _method_tile(small, name, example.maps[name], scale)
            row.paste(made, ((1 + column) * across, line * down))
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
        attention = _reduced(np.clip(made.attention, 0, None).astype(np.float32), small.size)
    picture = overlay(small, attention)
    colour = HIT if made.hit else MISS
    _frame(picture, colour)
    if made.point is None:
        _write_across(picture, "no maximum")
    else:
        x, y = made.point
        mark_point(picture, scale * (x + 0.5) - 0.5, scale * (y + 0.5) - 0.5)
    return tile(picture, f"{'✓' if made.hit else '✗'} {name}", colour, SIDE)


def _frame(picture: Image.Image, colour: str) -> None:
    corners = (0, 0, picture.width - 1, picture.height - 1)
    ImageDraw.Draw(picture).rectangle(corners, outline=colour, width=FRAME)


def _reduced(attention: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Give a map at a picture's size; single pixels, as of a gradient, stay to be seen."""
    across, down = (-(-old // new) for old, new in zip(attention.shape[::-1], size, strict=True))
    if across == down == 1:
        return np.asarray(Image.fromarray(attention).resize(size, Image.Resampling.BILINEAR))
    highest = ndimage.maximum_filter(attention, (down, across))
    return np.asarray(Image.fromarray(highest).resize(size, Image.Resampling.NEAREST))


def _write_across(picture: Image.Image, text: str) -> None:
    draw = ImageDraw.Draw(picture)
    middle = picture.width // 2, picture.height // 2
    draw.text(
        middle, text, fill="white", font=FONT, anchor="mm", stroke_width=3, stroke_fill="black"
    )
