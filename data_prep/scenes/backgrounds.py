"""Cluttered backgrounds: a setting, and over it shapes that are no object."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from data_prep.scenes.pen import Colour

SUPERSAMPLING = 2
CLUTTER = (10, 26)  # shapes over the setting
MOTTLE = 20  # standard deviation of the brightness, in patches of a twelfth of a side


class Canvas(NamedTuple):
    """What a setting is drawn on: `SUPERSAMPLING` times the size of the scene."""

    draw: ImageDraw.ImageDraw
    width: int
    height: int
    random: np.random.Generator

    def number(self, low: float, high: float) -> float:
        """Draw a number between two."""
        return float(self.random.uniform(low, high))

    def place(self) -> tuple[float, float]:
        """Draw a point."""
        return self.number(0, self.width), self.number(0, self.height)

    def shade(self, low: int = 70, high: int = 235) -> Colour:
        """Draw a dull colour, so that the objects' colours stand out."""
        grey = self.number(low, high)
        parts = (grey + self.random.uniform(-38, 38, 3)).tolist()
        return Colour(*(min(255, max(0, int(part))) for part in parts))

    def near(self, colour: Colour, spread: float = 28) -> Colour:
        """Draw a colour near another."""
        shift = self.number(-spread, spread)
        return Colour(*(min(255, max(0, int(part + shift))) for part in colour))


class Setting(NamedTuple):
    """A kind of background.

    Attributes
    ----------
    paint : callable
        Covers a canvas with it.
    tags : tuple of str
        Its scene words.
    preposition, phrase : str
        How a caption names it.
    """

    paint: Callable[[Canvas], None]
    tags: tuple[str, ...]
    preposition: str
    phrase: str


def sky(canvas: Canvas) -> None:
    """Lighter towards the horizon, with clouds."""
    top = canvas.near(SKIES[int(canvas.random.integers(len(SKIES)))])
    _gradient(canvas, top, top.mixed(Colour(250, 250, 250), 0.7))
    for _ in range(int(canvas.random.integers(4, 9))):
        x, y = canvas.place()
        grey = canvas.near(Colour(225, 228, 232), 22)
        for _ in range(5):
            radius = canvas.number(0.03, 0.08) * canvas.width
            _round(canvas, x, y, 1.6 * radius, radius, grey)
            x, y = x + canvas.number(0.6, 1.2) * radius, y + canvas.number(-0.4, 0.4) * radius


def striped_wall(canvas: Canvas) -> None:
    """Upright stripes of two or three colours."""
    colours = [canvas.shade() for _ in range(int(canvas.random.integers(2, 4)))]
    wide = canvas.number(0.03, 0.09) * canvas.width
    for step in range(math.ceil(canvas.width / wide)):
        stripe = (step * wide, 0, (step + 1) * wide, canvas.height)
        canvas.draw.rectangle(stripe, fill=colours[step % len(colours)])


def tiled_floor(canvas: Canvas) -> None:
    """Squares of two colours, with joints."""
    colours = [canvas.shade(), canvas.shade()]
    side = canvas.number(0.09, 0.18) * canvas.width
    joint = canvas.shade(40, 120)
    for row in range(math.ceil(canvas.height / side)):
        for column in range(math.ceil(canvas.width / side)):
            x, y = column * side, row * side
            fill = canvas.near(colours[(row + column) % 2], 14)
            canvas.draw.rectangle((x, y, x + side, y + side), fill=fill, outline=joint, width=3)


def brick_wall(canvas: Canvas) -> None:
    """Courses of bricks, each of a shade of its own."""
    brick = Colour(158, 104, 84).mixed(canvas.shade(), 0.35)
    long, high = canvas.number(0.12, 0.2) * canvas.width, canvas.number(0.05, 0.08) * canvas.width
    mortar = canvas.shade(150, 215)
    for row in range(math.ceil(canvas.height / high)):
        for column in range(-1, math.ceil(canvas.width / long)):
            x, y = (column + row % 2 / 2) * long, row * high
            fill = canvas.near(brick)
            canvas.draw.rectangle((x, y, x + long, y + high), fill=fill, outline=mortar, width=4)


def meadow(canvas: Canvas) -> None:
    """Blades of grass over dull green."""
    green = canvas.near(Colour(122, 146, 92), 24)
    _gradient(canvas, green.mixed(Colour(200, 210, 190), 0.4), green)
    for _ in range(240):
        x, y = canvas.place()
        tip = (x + canvas.number(-14, 14), y - canvas.number(16, 50))
        canvas.draw.line([(x, y), tip], fill=canvas.near(green, 40), width=4)


def sea(canvas: Canvas) -> None:
    """Rows of waves."""
    blue = canvas.near(Colour(96, 134, 150), 24)
    _gradient(canvas, blue.mixed(Colour(190, 205, 215), 0.5), blue)
    long = canvas.number(0.08, 0.16) * canvas.width
    for row in range(14):
        shift, y = canvas.number(0, long), (row + 0.5) * canvas.height / 14
        colour = canvas.near(blue, 42)
        for column in range(-1, math.ceil(canvas.width / long)):
            x = column * long + shift
            canvas.draw.arc((x, y, x + long, y + 0.4 * long), 0, 180, fill=colour, width=6)


def beach(canvas: Canvas) -> None:
    """Sand with pebbles."""
    sand = canvas.near(Colour(208, 188, 150), 20)
    _gradient(canvas, sand, canvas.near(sand))
    for _ in range(260):
        x, y = canvas.place()
        radius = canvas.number(2, 9)
        _round(canvas, x, y, 1.4 * radius, radius, canvas.near(sand, 55))


def curtain(canvas: Canvas) -> None:
    """Cloth with rows of spots."""
    cloth, spot = canvas.shade(), canvas.shade()
    _gradient(canvas, cloth, canvas.near(cloth))
    pitch = canvas.number(0.07, 0.12) * canvas.width
    for row in range(math.ceil(canvas.height / pitch) + 1):
        for column in range(math.ceil(canvas.width / pitch) + 1):
            x = (column + row % 2 / 2) * pitch
            _round(canvas, x, row * pitch, 0.24 * pitch, 0.24 * pitch, canvas.near(spot, 10))


SKIES = (Colour(128, 168, 204), Colour(150, 154, 168), Colour(198, 160, 150))
SETTINGS = {
    "sky": Setting(sky, ("sky", "cloud"), "under", "a cloudy sky"),
    "stripes": Setting(striped_wall, ("wall", "stripe"), "in front of", "a striped wall"),
    "bricks": Setting(brick_wall, ("wall", "brick"), "in front of", "a brick wall"),
    "tiles": Setting(tiled_floor, ("floor", "tile"), "on", "a tiled floor"),
    "meadow": Setting(meadow, ("meadow", "grass"), "in", "a grassy meadow"),
    "sea": Setting(sea, ("sea", "wave"), "by", "the wavy sea"),
    "beach": Setting(beach, ("beach", "sand"), "on", "a sandy beach"),
    "curtain": Setting(curtain, ("curtain", "cloth"), "in front of", "a spotted curtain"),
}


def paint_background(
    name: str, width: int, height: int, random: np.random.Generator
) -> Image.Image:
    """Paint one of `SETTINGS` with clutter over it: RGB."""
    size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    image = Image.new("RGB", size)
    canvas = Canvas(ImageDraw.Draw(image), *size, random)
    SETTINGS[name].paint(canvas)
    for _ in range(int(random.integers(*CLUTTER))):
        CLUTTER_SHAPES[int(random.integers(len(CLUTTER_SHAPES)))](canvas)
    small = image.reduce(SUPERSAMPLING)
    light = random.normal(128, MOTTLE, (12, 12)).clip(0, 255).astype(np.uint8)
    mottle = Image.fromarray(light).resize(small.size, Image.Resampling.BICUBIC)
    levels = np.asarray(small, np.int16) + (np.asarray(mottle, np.int16) - 128)[:, :, None]
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def scribble(canvas: Canvas) -> None:
    """Draw a crooked line."""
    points = [canvas.place()]
    for _ in range(int(canvas.random.integers(3, 8))):
        x, y = points[-1]
        points.append((x + canvas.number(-60, 60), y + canvas.number(-60, 60)))
    canvas.draw.line(points, fill=canvas.shade(), width=int(canvas.number(3, 8)), joint="curve")


def shard(canvas: Canvas) -> None:
    """Draw a random triangle or quadrangle."""
    x, y = canvas.place()
    corners = [
        (x + canvas.number(-50, 50), y + canvas.number(-50, 50))
        for _ in range(int(canvas.random.integers(3, 5)))
    ]
    canvas.draw.polygon(corners, fill=canvas.shade())


def cross(canvas: Canvas) -> None:
    """Draw two short strokes across each other."""
    x, y = canvas.place()
    along, across = canvas.number(8, 30), canvas.number(8, 30)
    colour, width = canvas.shade(), int(canvas.number(4, 10))
    canvas.draw.line([(x - along, y - across), (x + along, y + across)], colour, width)
    canvas.draw.line([(x - across, y + along), (x + across, y - along)], colour, width)


def blob(canvas: Canvas) -> None:
    """Draw overlapping rounds of one colour."""
    x, y = canvas.place()
    colour = canvas.shade()
    for _ in range(4):
        rx, ry = canvas.number(8, 34), canvas.number(8, 34)
        _round(canvas, x + canvas.number(-30, 30), y + canvas.number(-30, 30), rx, ry, colour)


def arc(canvas: Canvas) -> None:
    """Draw a part of a circle's line."""
    x, y = canvas.place()
    radius, start = canvas.number(12, 50), canvas.number(0, 360)
    box = (x - radius, y - radius, x + radius, y + radius)
    end = start + canvas.number(60, 220)
    canvas.draw.arc(box, start, end, canvas.shade(), int(canvas.number(4, 10)))


CLUTTER_SHAPES = (scribble, shard, cross, blob, arc)


def _round(canvas: Canvas, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
    canvas.draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)


def _gradient(canvas: Canvas, top: Colour, bottom: Colour) -> None:
    bands = 48
    for step in range(bands):
        y = step * canvas.height / bands
        box = (0, y, canvas.width, y + canvas.height / bands)
        canvas.draw.rectangle(box, fill=top.mixed(bottom, step / bands))
