"""From a plan to pixels and boxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.scenes.backgrounds import paint_background
from data_prep.scenes.nouns import NOUNS
from data_prep.scenes.pen import Pen
from data_prep.scenes.plan import Plan, Thing

GRAIN = 6  # standard deviation of the noise of a pixel
VISIBLE = 64  # opacity from which a pixel is of a thing: half of a hairline
JPEG_QUALITY = 90


class Drawing(NamedTuple):
    """A drawn scene.

    Attributes
    ----------
    image : PIL.Image.Image
        Mode RGB.
    boxes : np.ndarray
        What is to be seen of each thing: x1, y1, x2, y2 in pixels, half-open; (things, 4) int64.
    """

    image: Image.Image
    boxes: np.ndarray


def draw_scene(plan: Plan) -> Drawing:
    """Draw a scene; the same plan gives the same pixels."""
    random = np.random.default_rng([*plan.seed, 1])
    image = paint_background(plan.setting, plan.width, plan.height, random)
    owner = np.zeros((plan.height, plan.width), np.uint8)
    for number, thing in enumerate(plan.things, 1):
        sprite = _sprite(thing)
        left = _inside(thing.x - sprite.width / 2, plan.width - sprite.width)
        top = _inside(thing.y - sprite.height / 2, plan.height - sprite.height)
        image.paste(sprite, (left, top), sprite)
        under = owner[top : top + sprite.height, left : left + sprite.width]
        under[np.asarray(sprite.getchannel("A")) >= VISIBLE] = number
    boxes = [_box(owner == number) for number in range(1, len(plan.things) + 1)]
    return Drawing(_with_grain(image, random), np.array(boxes, np.int64).reshape(-1, 4))


def save_scenes(plans: Mapping[Path, Plan]) -> dict[Path, np.ndarray]:
    """Draw each scene into its JPEG file and return its boxes, as `Drawing` has them."""
    boxes = {}
    for path, plan in plans.items():
        image, boxes[path] = draw_scene(plan)
        image.save(path, format="JPEG", quality=JPEG_QUALITY)
    return boxes


def _sprite(thing: Thing) -> Image.Image:
    """Draw a thing, darker towards its foot: RGBA."""
    pen = Pen(thing.side, thing.paint, thing.stretch, thing.angle, thing.mirrored)
    NOUNS[thing.noun].draw(pen)
    levels = np.array(pen.sprite())
    slope = np.linspace(1.1, 0.88, levels.shape[0])[:, None, None]
    levels[..., :3] = (levels[..., :3] * slope).clip(0, 255)
    return Image.fromarray(levels)


def _inside(start: float, most: int) -> int:
    return min(max(0, round(start)), most)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _with_grain(image: Image.Image, random: np.random.Generator) -> Image.Image:
    levels = np.asarray(image, np.int16)
    # Few values, looked up: normal noise for each pixel would take longer than the drawing.
    bank = random.normal(0, GRAIN, 256).round().astype(np.int16)
    grain = bank[random.integers(0, 256, levels.shape, np.uint8)]
    return Image.fromarray((levels + grain).clip(0, 255).astype(np.uint8))
